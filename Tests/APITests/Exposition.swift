/// Prometheus' text format, version 0.0.4, read strictly: what its documentation allows and a scraper
/// may still refuse is an error here, too.
struct Exposition {
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }
    struct Sample {
        var name: String
        var labels: [String: String]
        var value: Double
    }
    struct Family {
        var kind: String
        var samples: [Sample] = []
    }
    private(set) var families: [String: Family] = [:]

    init(_ text: String) throws(Malformed) {
        guard text.hasSuffix("\n") else { throw Malformed(description: "no end of line") }
        var current: String?
        var helped: String?
        for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            if line.hasPrefix("# HELP ") {
                guard words.count == 4 else { throw Malformed(description: "\(line)") }
                helped = words[2]
                continue
            }
            if line.hasPrefix("# TYPE ") {
                guard words.count == 4, helped == words[2], families[words[2]] == nil,
                    ["counter", "gauge", "histogram"].contains(words[3]),
                    words[2].wholeMatch(of: /[a-zA-Z_:][a-zA-Z0-9_:]*/) != nil
                else { throw Malformed(description: "\(line)") }
                families[words[2]] = Family(kind: words[3])
                current = words[2]
                continue
            }
            let sample = try Self.sample(line)
            guard let current, let kind = families[current]?.kind,
                Self.names(current, kind).contains(sample.name)
            else { throw Malformed(description: "of no family here: \(line)") }
            if kind == "counter", !(sample.value >= 0) {
                throw Malformed(description: "a counter below zero: \(line)")
            }
            families[current]?.samples.append(sample)
        }
        for (name, family) in families { try Self.check(name, family) }
    }

    private static func names(_ family: String, _ kind: String) -> [String] {
        kind == "histogram" ? ["_bucket", "_sum", "_count"].map { family + $0 } : [family]
    }

    private static func sample(_ line: Substring) throws(Malformed) -> Sample {
        let malformed = Malformed(description: "\(line)")
        let name = line.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == ":" }
        var rest = line.dropFirst(name.count)
        var labels: [String: String] = [:]
        if rest.first == "{" {
            rest = rest.dropFirst()
            while rest.first != "}" {
                let label = rest.prefix { $0 != "=" }
                guard label.wholeMatch(of: /[a-zA-Z_][a-zA-Z0-9_]*/) != nil else { throw malformed }
                rest = rest.dropFirst(label.count)
                guard rest.hasPrefix("=\"") else { throw malformed }
                rest = rest.dropFirst(2)
                var value = ""
                while let c = rest.popFirst(), c != "\"" {
                    guard c == "\\" else {
                        value.append(c)
                        continue
                    }
                    switch rest.popFirst() {
                    case "\\": value.append("\\")
                    case "n": value.append("\n")
                    case "\"": value.append("\"")
                    default: throw malformed
                    }
                }
                guard labels.updateValue(value, forKey: String(label)) == nil else {
                    throw malformed
                }
                if rest.first == "," {
                    rest = rest.dropFirst()
                } else if rest.first != "}" {
                    throw malformed
                }
            }
            rest = rest.dropFirst()
        }
        guard rest.first == " ", let value = number(rest.dropFirst()) else { throw malformed }
        return Sample(name: String(name), labels: labels, value: value)
    }

    private static func number(_ text: Substring) -> Double? {
        switch text {
        case "+Inf": .infinity
        case "-Inf": -.infinity
        case "NaN": .nan
        default: text.wholeMatch(of: /-?[0-9][0-9.eE+-]*/).flatMap { Double($0.0) }
        }
    }

    private static func check(_ name: String, _ family: Family) throws(Malformed) {
        var seen: Set<[String]> = []
        for sample in family.samples {
            let key = [sample.name] + sample.labels.sorted { $0.key < $1.key }.flatMap { [$0, $1] }
            guard seen.insert(key).inserted else { throw Malformed(description: "twice: \(key)") }
        }
        guard family.kind == "histogram" else { return }
        var series: [[String: String]: (buckets: [(Double, Double)], sum: Int, count: Double?)] =
            [:]
        for sample in family.samples {
            var labels = sample.labels
            let bound = labels.removeValue(forKey: "le")
            var one = series[labels] ?? ([], 0, nil)
            switch (sample.name.dropFirst(name.count), bound) {
            case ("_bucket", let bound?):
                guard let bound = number(bound[...]) else {
                    throw Malformed(description: "\(name): le")
                }
                one.buckets.append((bound, sample.value))
            case ("_sum", nil): one.sum += 1
            case ("_count", nil): one.count = sample.value
            default: throw Malformed(description: "\(name): le")
            }
            series[labels] = one
        }
        for (labels, one) in series {
            let isOrdered = zip(one.buckets, one.buckets.dropFirst()).allSatisfy {
                $0.0 < $1.0 && $0.1 <= $1.1
            }
            guard isOrdered, one.sum == 1, let last = one.buckets.last, last.0 == .infinity,
                one.count == last.1
            else { throw Malformed(description: "\(name) \(labels)") }
        }
    }
}
