import MySQLCore
import Testing
import Worker

@testable import Commands

/// The keys of `--output json` are promised: this test changes only by additions.
@Suite("JSON lines")
struct RecordTests {
    @Test("a status has all its keys in every phase")
    func statusKeys() {
        let keys = [
            "type", "time", "task", "phase", "tables_total", "tables_done", "rows",
            "rows_estimated", "bytes", "rows_per_second", "bytes_per_second", "seconds_left",
            "transactions", "row_changes", "binlog_bytes", "ddl_statements",
            "transactions_per_second", "row_changes_per_second", "binlog_bytes_per_second",
            "lag_ms", "position", "source_position", "relay_state", "relay_bytes",
            "relay_limit_bytes", "relay_position", "waiting", "retries", "warnings",
        ]
        let fresh = (MigrationStatus(), RateMeter())
        for (status, meter) in [fresh, Samples.copying(), Samples.following()] {
            let record = StatusRecord.status(status, meter, task: "migrate", microseconds: 0)
            #expect(record.keys == keys)
        }
    }

    @Test("a status is one line, with null for what is not known")
    func status() {
        let record = StatusRecord.status(
            MigrationStatus(), RateMeter(), task: "a\"b", microseconds: 1_795_220_235_000_000)
        #expect(
            record.description == """
                {"type":"status","time":"2026-11-21T00:17:15Z","task":"a\\"b","phase":"starting",\
                "tables_total":0,"tables_done":0,"rows":0,"rows_estimated":0,"bytes":0,\
                "rows_per_second":0.0,"bytes_per_second":0.0,"seconds_left":null,\
                "transactions":0,"row_changes":0,"binlog_bytes":0,"ddl_statements":0,\
                "transactions_per_second":0.0,"row_changes_per_second":0.0,\
                "binlog_bytes_per_second":0.0,"lag_ms":null,"position":null,\
                "source_position":null,"relay_state":null,"relay_bytes":null,\
                "relay_limit_bytes":null,"relay_position":null,"waiting":null,"retries":0,"warnings":[]}
                """)
    }

    @Test("checks, ends and errors have their keys")
    func others() {
        let check = CheckResult(name: "gtid", verdict: .warning, message: "m", remedy: "r")
        #expect(
            StatusRecord.check(check, microseconds: 0).keys
                == ["type", "time", "name", "verdict", "ignored", "message", "remedy"])
        let outcomes: [MigrationOutcome] = [.reached("p"), .stopped(nil), .finished]
        for outcome in outcomes {
            #expect(
                StatusRecord.end(outcome, task: "t", microseconds: 0).keys
                    == ["type", "time", "task", "outcome", "position"])
        }
        let error = OperatorError(
            code: "c", message: "m", place: nil, recovery: .never, action: "a")
        #expect(
            error.record(microseconds: 0).keys
                == [
                    "type", "time", "code", "message", "where", "recovery", "action", "exit_status",
                ]
        )
    }

    @Test("texts are quoted as JSON wants it")
    func quoting() {
        #expect(JSONObject.quoted("a\"\\\n\u{1}\u{7F}é") == "\"a\\\"\\\\\\n\\u0001\\u007fé\"")
    }

    @Test("numbers are worded the same everywhere")
    func wording() {
        #expect(Wording.count(1_234_567) == "1,234,567" && Wording.count(12) == "12")
        #expect(Wording.roughCount(999) == "999" && Wording.roughCount(999.6) == "1.00 k")
        #expect(Wording.roughCount(45_230) == "45.2 k" && Wording.roughCount(.nan) == "0")
        #expect(Wording.bytes(1536) == "1.50 KiB" && Wording.bytes(0) == "0 B")
        #expect(Wording.lag(milliseconds: 12) == "12 ms")
        #expect(Wording.lag(milliseconds: 3440) == "3.4 s")
        #expect(Wording.lag(milliseconds: 125_000) == "2 min 5 s")
        #expect(Wording.lag(milliseconds: -5) == "-5 ms")
        #expect(Wording.span(seconds: 3 * 86_400 + 4 * 3600 + 59) == "3 d 4 h")
        #expect(Wording.roughSpan(seconds: 0) == "1 s")
        #expect(Wording.roughSpan(seconds: 44) == "40 s")
        #expect(Wording.roughSpan(seconds: 250) == "4 min")
        #expect(Wording.roughSpan(seconds: 7900) == "2 h 10 min")
        #expect(Wording.clock(seconds: 11_525) == "3:12:05")
        #expect(Wording.fixed(-0.04, 1) == "0.0" && Wording.fixed(12.345, 2) == "12.35")
    }

    @Test("texts are cut by columns, wide characters count twice")
    func fitting() {
        #expect(TextFitting.shortened("abcdef", 4) == "abc…")
        #expect(TextFitting.shortened("日本語", 4) == "日…" && TextFitting.width("日本語") == 6)
        #expect(TextFitting.middleShortened("abcdefghijklmnop", 12) == "abcd…jklmnop")
        #expect(TextFitting.padded("ab", 4) == "ab  ")
        #expect(TextFitting.wrapped("one two three", 7) == ["one two", "three"])
    }
}
