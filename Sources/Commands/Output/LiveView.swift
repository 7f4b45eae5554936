internal import MySQLCore
internal import Worker

/// The live view of a migration: a pure function from a status to the lines of a terminal.
struct LiveView: Sendable {
    /// The task's name.
    var task: String
    /// The source, `user@host:port`.
    var source: String
    /// The target, `user@host:port`.
    var target: String

    /// The lines of one frame, at most `height`, none wider than `width`.
    func lines(
        _ status: MigrationStatus, _ meter: RateMeter, elapsedSeconds: Int64, width: Int,
        height: Int
    ) -> [StyledLine] {
        var out = [title(elapsedSeconds, width)]
        switch status.phase {
        case .starting, .checking, .schema: out.append(phaseLine(status))
        case .copying, .indexing: out += copyLines(status, meter, width)
        case .following, .draining, .finishing, .done: out += followLines(status, meter, width)
        }
        if let relay = status.relay { out.append(relayLine(relay)) }
        if let waiting = status.waiting ?? status.relay?.reason {
            for (i, text) in TextFitting.wrapped(waiting, max(20, width - label("").width))
                .enumerated()
            {
                var line = i == 0 ? label("waiting", .caution) : label("")
                line.add(text, .caution)
                out.append(line)
            }
        }
        if status.phase == .copying {
            out += tableLines(status, width, limit: min(6, height - out.count))
        }
        return Array(out.prefix(max(1, height)))
    }

    private func title(_ elapsedSeconds: Int64, _ width: Int) -> StyledLine {
        let clock = Wording.clock(seconds: elapsedSeconds)
        let room = width - TextFitting.width(task) - TextFitting.width(clock) - 4
        let servers = TextFitting.shortened("\(source) → \(target)", max(0, room))
        var line = StyledLine(task, .strong)
        line.add("  ")
        line.add(TextFitting.padded(servers, max(0, room)))
        line.add("  \(clock)", .dim)
        return line
    }

    private func relayLine(_ relay: MigrationStatus.Relay) -> StyledLine {
        var line = label("relay log", relay.state == "paused" ? .caution : .dim)
        line.add(Wording.bytes(Double(relay.bytes)))
        if let limit = relay.limitBytes { line.add(" of at most \(Wording.bytes(Double(limit)))") }
        line.add(", \(relay.state)", .dim)
        return line
    }

    private func phaseLine(_ status: MigrationStatus) -> StyledLine {
        var line = label(status.phase.rawValue, .accent)
        switch status.phase {
        case .starting: line.add("connecting")
        case .checking: line.add("pre-checks")
        case .schema: line.add("creating databases and tables")
        default: break
        }
        return line
    }

    private func copyLines(
        _ status: MigrationStatus, _ meter: RateMeter, _ width: Int
    ) -> [StyledLine] {
        let rates = meter.rates
        let expected = status.expectedRows
        let isDone = status.tablesDone == status.tables.count
        let fraction = expected > 0 ? Double(status.copiedRows) / Double(expected) : 0
        let left = TimeLeftWords.text(meter.timeLeft, status.phase)
        var bar = label(status.phase.rawValue, .accent)
        let tail =
            " " + Bar.percent(fraction, isDone: isDone) + (left.map { "  \($0)" } ?? "")
        let columns = max(10, min(60, width - bar.width - TextFitting.width(tail)))
        let parts = Bar.text(isDone ? 1 : fraction, columns: columns)
        bar.add(parts.done, .good)
        bar.add(parts.open, .dim)
        bar.add(tail)

        var tables = label("tables")
        tables.add("\(status.tablesDone) of \(status.tables.count) done")
        var rows = label("rows")
        let estimate = Wording.roughCount(Double(expected))
        rows.add(
            TextFitting.padded("\(Wording.count(status.copiedRows)) of ~\(estimate)", 30))
        var bytes = label("data")
        bytes.add(TextFitting.padded(Wording.bytes(Double(status.copiedBytes)), 30))
        if status.phase == .copying {
            rows.add("\(Wording.roughCount(rates.rows)) rows/s")
            bytes.add("\(Wording.bytes(rates.bytes))/s")
        }
        return [bar, tables, rows, bytes]
    }

    private func tableLines(
        _ status: MigrationStatus, _ width: Int, limit: Int
    ) -> [StyledLine] {
        let active = status.tables.filter { !$0.isDone && $0.rows > 0 }
        guard limit > 0, !active.isEmpty, width >= 50 else { return [] }
        // The room for the list stays the same while tables come and go, as far as it is known.
        let shown = active.count > limit ? Array(active.prefix(limit - 1)) : active
        var out = shown.map { table -> StyledLine in
            let fraction = Double(table.rows) / Double(max(table.rows, table.estimatedRows, 1))
            let counts =
                "\(Wording.count(table.rows)) of "
                + "~\(Wording.roughCount(Double(max(table.rows, table.estimatedRows))))"
            let nameColumns = max(12, width - 12 - 6 - 26 - 2)
            var line = StyledLine("  ")
            line.add(
                TextFitting.padded(
                    TextFitting.middleShortened(
                        TextFitting.printable(table.name.description), nameColumns), nameColumns))
            let bar = Bar.text(fraction, columns: 11)
            line.add(" \(bar.done)", .good)
            line.add(bar.open, .dim)
            line.add(" \(Bar.percent(fraction, isDone: false))")
            line.add("  \(counts)")
            return line
        }
        if active.count > shown.count {
            out.append(StyledLine("  and \(active.count - shown.count) more tables", .dim))
        }
        return out
    }

    private func followLines(
        _ status: MigrationStatus, _ meter: RateMeter, _ width: Int
    ) -> [StyledLine] {
        let rates = meter.rates
        var lag = label(status.phase.rawValue, .accent)
        if let milliseconds = status.lagMilliseconds {
            lag.add(
                "lag \(Wording.lag(milliseconds: milliseconds))",
                milliseconds < 1000 ? .good : .caution)
        } else {
            lag.add("lag not known yet", .dim)
        }
        if let left = TimeLeftWords.text(meter.timeLeft, status.phase) { lag.add("  \(left)") }

        var applied = label("applied")
        applied.add(
            TextFitting.padded("\(Wording.count(status.transactions)) transactions", 30))
        applied.add("\(Wording.roughCount(rates.transactions))/s")
        var rows = label("")
        rows.add(TextFitting.padded("\(Wording.count(status.rowChanges)) row changes", 30))
        rows.add("\(Wording.roughCount(rates.rowChanges))/s")
        var binlog = label("binlog")
        binlog.add(TextFitting.padded(Wording.bytes(Double(status.binlogBytes)), 30))
        binlog.add("\(Wording.bytes(rates.binlogBytes))/s")
        var out = [lag, applied, rows, binlog]
        if status.ddlStatements > 0 {
            var ddl = label("DDL")
            ddl.add("\(Wording.count(status.ddlStatements)) statements")
            out.append(ddl)
        }
        for (name, position) in [
            ("position", status.position), ("source", status.sourcePosition),
        ] {
            guard let position else { continue }
            var line = label(name)
            line.add(
                TextFitting.middleShortened(TextFitting.printable(position), width - line.width))
            out.append(line)
        }
        return out
    }

    private func label(_ text: String, _ style: StyledLine.Style = .dim) -> StyledLine {
        StyledLine(TextFitting.padded(text, 11), style)
    }
}
