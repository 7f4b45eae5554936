internal import Worker

/// A status as one plain line, for output that is no terminal.
enum StatusLine {
    /// `12:05 copying 3/12 tables, 1,234,567 of ~4.10 M rows (30%), 45.2 k rows/s, ..`.
    static func text(
        _ status: MigrationStatus, _ meter: RateMeter, elapsedSeconds: Int64
    ) -> String {
        var parts: [String] = []
        let rates = meter.rates
        switch status.phase {
        case .copying, .indexing:
            parts.append("\(status.tablesDone)/\(status.tables.count) tables")
            parts.append(
                "\(Wording.count(status.copiedRows)) of ~"
                    + "\(Wording.roughCount(Double(status.expectedRows))) rows")
            parts.append("\(Wording.bytes(Double(status.copiedBytes)))")
            if status.phase == .copying {
                parts.append("\(Wording.roughCount(rates.rows)) rows/s")
                parts.append("\(Wording.bytes(rates.bytes))/s")
            }
        case .following, .draining, .finishing, .done:
            if let lag = status.lagMilliseconds {
                parts.append("lag \(Wording.lag(milliseconds: lag))")
            }
            parts.append("\(Wording.count(status.transactions)) transactions")
            parts.append("\(Wording.roughCount(rates.transactions))/s")
            if let position = status.position {
                parts.append("at \(TextFitting.shortened(position, 80))")
            }
        case .starting, .checking, .schema: break
        }
        if let left = TimeLeftWords.text(meter.timeLeft, status.phase) { parts.append(left) }
        if status.retries > 0 { parts.append("\(Wording.count(status.retries)) retries") }
        if let relay = status.relay, relay.bytes > 0 {
            parts.append("relay \(Wording.bytes(Double(relay.bytes)))")
        }
        if let waiting = status.waiting ?? status.relay?.reason {
            parts.append("waiting: \(waiting)")
        }
        let clock = Wording.clock(seconds: elapsedSeconds)
        let text = parts.isEmpty ? "" : " " + parts.joined(separator: ", ")
        return TextFitting.printable("\(clock) \(status.phase.rawValue)\(text)")
    }
}

/// How a time to go is worded.
enum TimeLeftWords {
    /// The words, `nil` when there is nothing to say.
    static func text(_ left: RateMeter.TimeLeft, _ phase: MigrationStatus.Phase) -> String? {
        let catchingUp = phase != .copying
        switch left {
        case .unknown: return nil
        case .stalled:
            return catchingUp ? "the lag does not shrink" : "no rows in the last seconds"
        case .about(let seconds):
            return catchingUp
                ? "caught up in about \(Wording.roughSpan(seconds: seconds))"
                : "about \(Wording.roughSpan(seconds: seconds)) left"
        case .atLeast(let seconds):
            return "at least \(Wording.roughSpan(seconds: seconds)) left"
        case .fallingBehind: return "the lag grows: the target is slower than the source"
        }
    }
}
