internal import Runtime

/// Metrics in the text format of Prometheus, version 0.0.4.
struct MetricsText {
    /// What a family's numbers are.
    enum Kind: String {
        case gauge, counter, histogram
    }

    /// The document so far.
    private(set) var text = ""

    /// Begins a family; its samples follow.
    mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
    }

    /// Adds a sample.
    mutating func sample(
        _ name: String, _ labels: KeyValuePairs<String, String>, _ value: Double
    ) {
        write(name, labels, bound: nil, value)
    }

    /// Adds the samples of a histogram: cumulative counts, the sum and the count.
    mutating func samples(
        _ name: String, _ labels: KeyValuePairs<String, String>, _ times: DurationHistogram.Reading
    ) {
        var count: UInt64 = 0
        for (bound, more) in zip(DurationHistogram.boundsSeconds + [.infinity], times.counts) {
            count &+= more
            write(name + "_bucket", labels, bound: bound, Double(count))
        }
        sample(name + "_sum", labels, times.sumSeconds)
        sample(name + "_count", labels, Double(count))
    }

    private mutating func write(
        _ name: String, _ labels: KeyValuePairs<String, String>, bound: Double?, _ value: Double
    ) {
        var words = labels.map { "\($0.key)=\"\(escaped($0.value, quotes: true))\"" }
        if let bound { words.append("le=\"\(number(bound))\"") }
        text += words.isEmpty ? name : "\(name){\(words.joined(separator: ","))}"
        text += " \(number(value))\n"
    }

    /// Adds a sample without labels.
    mutating func sample(_ name: String, _ value: Double) { sample(name, [:], value) }

    private func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return "\(value)"
    }

    private func escaped(_ text: String, quotes: Bool) -> String {
        var out = ""
        for c in text {
            switch c {
            case "\\": out += "\\\\"
            case "\n", "\r\n": out += "\\n"
            case "\"" where quotes: out += "\\\""
            default: out.append(c)
            }
        }
        return out
    }
}
