extension ZoneClock {
    /// What the clocks show at the instant of a TIMESTAMP column, as a DATETIME in SQL for a session
    /// that is in UTC; zero and NULL stay. The server needs no tables of time zones for it.
    ///
    /// - Parameter column: its name as it is written.
    func localTime(of column: String) -> String {
        // TIMESTAMP has at most 32 bits of seconds, in MariaDB without a sign.
        let seconds = "UNIX_TIMESTAMP(\(column))"
        let all = range(at: 0)...range(at: Int64(UInt32.max))
        return "IF(\(seconds)=0,\(column),\(column)+INTERVAL \(choice(seconds, all)) SECOND)"
    }

    /// The offset in one of the ranges between changes: each question leaves half of them.
    private func choice(_ seconds: String, _ all: ClosedRange<Int>) -> String {
        guard all.count > 1 else { return String(offsets[all.lowerBound]) }
        let middle = (all.lowerBound + all.upperBound + 1) / 2
        let before = choice(seconds, all.lowerBound...(middle - 1))
        let after = choice(seconds, middle...all.upperBound)
        return "IF(\(seconds)<\(changes[middle - 1]),\(before),\(after))"
    }
}

extension RowExpression {
    /// The expression in SQL for a session that is in UTC, where it is what it is here in the zone of
    /// its clock; `nil` for one that makes dates of seconds, or seconds of dates, in that zone.
    var textInUTC: String? {
        guard dependsOnTimeZone, !program.clock.isUTC else { return text }
        guard !program.hasZonedFunctions else { return nil }
        let source = Array(text.utf8)
        var out: [UInt8] = []
        var at = 0
        for place in program.zonedPlaces.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            out += source[at..<place.lowerBound]
            let column = String(decoding: source[place], as: UTF8.self)
            out += Array(program.clock.localTime(of: column).utf8)
            at = place.upperBound
        }
        out += source[at...]
        return String(decoding: out, as: UTF8.self)
    }
}
