import Settings
import Testing

/// Good files, damaged at random: each is refused with one clear error, or means something that
/// survives the store.
@Suite("Damaged task and source files")
struct MutatedTaskFileTests {
    private static let source = """
        source-id: one
        enable-relay: true
        case-sensitive: false
        filters:
          - schema-pattern: "*"
            events: ["drop table", all dml]
            sql-pattern: ["^DROP"]
            action: Ignore
        from:
          host: db1
          port: 3306
          user: reader
          password: "pw"
          session: {sql_mode: ANSI}
          security: {ssl-ca: /etc/ca.pem}
        purge: {interval: 3600, expires: 0, remain-space: 15}
        checker: {check-enable: true, backoff-max: 5m}
        """
    private static let pieces =
        [
            "\t", "\n", "\n  ", ": ", "- ", "{", "}", "[", "]", "'", "\"", "#", "&a ", "*a",
            "!!binary ",
            "|", ">", "%", "@", "`", "~", "null", "${", "${SECRET}", "$${", "\\", "\\u0000",
            "\u{0}",
            "\u{7F}", "\u{85}", "\u{2028}", "\u{FEFF}", "é", "💥", "0x10", "1e9", "-1",
            "99999999999999999999", "<<: ", "? ", "---\n", "...\n", "name: ", "routes: ", "yes",
        ].map { Array($0.utf8) } + [[0xC3], [0xFF], [0xFE, 0xFF], [0xED, 0xA0, 0x80]]

    /// A generator that gives the same numbers for the same seed on every machine.
    private struct Numbers: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    private func mutated(_ bytes: [UInt8], _ numbers: inout Numbers) -> [UInt8] {
        var out = bytes
        for _ in 0..<Int.random(in: 1...4, using: &numbers) {
            let at = Int.random(in: 0...out.count, using: &numbers)
            let end = min(out.count, at + Int.random(in: 0...20, using: &numbers))
            switch Int.random(in: 0..<6, using: &numbers) {
            case 0: out.removeSubrange(at..<end)
            case 1: out.insert(contentsOf: out[at..<end], at: end)
            case 2: out.insert(contentsOf: Self.pieces.randomElement(using: &numbers) ?? [], at: at)
            case 3 where at < out.count:
                out[at] = UInt8.random(in: 0...255, using: &numbers)
            case 4:
                // A line goes somewhere else.
                var lines = out.split(separator: 10, omittingEmptySubsequences: false)
                let line = lines.remove(at: Int.random(in: 0..<lines.count, using: &numbers))
                lines.insert(line, at: Int.random(in: 0...lines.count, using: &numbers))
                out = Array(lines.joined(separator: [10]))
            default: out = Array(out[..<at])
            }
        }
        return out
    }

    private let passwords = PasswordSource(
        environment: { $0 == "SECRET" ? "hunter2" : nil }, prompt: nil)
    private let secrets = SecretCipher()

    /// Whether the damaged file was read.
    private func check(_ bytes: [UInt8], _ seed: UInt64, isTask: Bool) throws -> Bool {
        do throws(SettingsError) {
            if isTask {
                let report = try TaskSettings.reported(
                    bytes, .yaml, file: "f", passwords: passwords)
                let stored = try report.value.stored(secrets, key: "k")
                let again = try TaskSettings(stored: stored, secrets, key: "k")
                #expect(again == report.value, "seed \(seed)")
                for it in report.warnings { #expect(it.message.isOneLine, "seed \(seed): \(it)") }
            } else {
                let report = try SourceSettings.reported(
                    bytes, .yaml, file: "f", passwords: passwords)
                var value = report.value
                let stored = try value.stored(secrets, key: "k")
                value.allowedWorkers = nil
                value.isEnabled = true
                let again = try SourceSettings(stored: stored, secrets, key: "k")
                #expect(again == value, "seed \(seed)")
            }
            return true
        } catch {
            #expect(error.file == "f", "seed \(seed): \(error)")
            if error.file != "f" { throw error }
            #expect(error.message.isOneLine, "seed \(seed): \(error)")
            #expect(!error.message.contains("hunter2"), "seed \(seed): \(error)")
            return false
        }
    }

    @Test("damage at random is refused in words, or survives the store", arguments: [true, false])
    func random(isTask: Bool) throws {
        let good = Array((isTask ? TaskFileTests.full : Self.source).utf8)
        #expect(try check(good, 0, isTask: isTask))
        var read = 0
        let began = ContinuousClock.now
        for seed in UInt64(1)...3000 {
            var numbers = Numbers(state: seed)
            if try check(mutated(good, &numbers), seed, isTask: isTask) { read += 1 }
        }
        #expect(read > 50 && read < 2900, "damage must be of both kinds: \(read)")
        #expect(ContinuousClock.now - began < .seconds(300))
    }

    @Test("a file cut anywhere is read or refused in words")
    func truncated() throws {
        let good = Array(TaskFileTests.full.utf8)
        for n in 0..<good.count { _ = try check(Array(good[..<n]), UInt64(n), isTask: true) }
    }

    private static func deep(_ open: String, _ close: String, _ count: Int) -> String {
        String(repeating: open, count: count) + "1" + String(repeating: close, count: count)
    }
    private static let head = """
        name: t
        target-database: {host: h, user: u}
        mysql-instances:

        """
    /// A task with a pattern of schemas.
    private static func list(_ pattern: String) -> String {
        head + "  - {source-id: s, block-allow-list: a}\n"
            + "block-allow-list: {a: {do-dbs: ['\(pattern)']}}\n"
    }
    /// A task with an expression, which is made wrong at its end.
    private static func expression(_ text: String) -> String {
        head + "  - {source-id: s, expression-filters: [a]}\n"
            + "expression-filter: {a: {schema: a, table: b, insert-value-expr: '\(text) ='}}\n"
    }

    private static let hostileTexts: [(name: String, text: String)] = [
        ("deep lists", String(repeating: "[", count: 200_000)),
        ("deep mappings", "routes: " + String(repeating: "{a: ", count: 50_000)),
        ("a long value", "name: " + String(repeating: "x", count: 250_000)),
        ("a long key", String(repeating: "x", count: 250_000) + ": 1"),
        ("a long key with dots", "routes: {" + String(repeating: "x.", count: 120_000) + ": {}}"),
        ("a long text", "name: \"" + String(repeating: "\\n", count: 100_000) + "\""),
        (
            "many routes",
            "routes:\n" + (0..<8000).map { "  r\($0): {schema-pattern: x}\n" }.joined()
        ),
        ("many keys", (0..<20_000).map { "k\($0): 1\n" }.joined()),
        ("an alias", "routes: {a: &x [1], b: *x}"), ("a mark in the middle", "\u{FEFF}name: t"),
        ("a tab", "name: t\n\tmemory: 1GiB"), ("a key twice", "name: t\nname: t"),
        ("a tag", "name: !!binary AAAA"), ("a date", "name: 2020-01-01"),
        ("a merge key", "<<: {name: t}"),
        ("a long variable", "name: ${" + String(repeating: "A", count: 200_000) + "}"),
        (
            "many wrong events",
            "filters: {a: {schema-pattern: x, events: ["
                + String(repeating: "drop tabel,", count: 15_000) + "]}}"
        ),
        (
            "many names",
            "mysql-instances: [{source-id: s, route-rules: ["
                + (0..<40_000).map { "\($0)," }.joined() + "]}]"
        ),
        ("a deep pattern", list("~" + String(repeating: "(", count: 16_000))),
        ("a closed deep pattern", list("~" + deep("(", ")", 8000) + "[")),
        ("a pattern that repeats repetitions", list("~((((a{1000}){1000}){1000}){1000})[")),
        ("a long class", list("~[" + String(repeating: "a-z", count: 5000))),
        ("a deep expression", expression(deep("(", ")", 30_000))),
        ("an expression of negations", expression(String(repeating: "NOT ", count: 15_000))),
        ("an expression of signs", expression(String(repeating: "- ", count: 30_000))),
        ("a long expression", expression(String(repeating: "1 + ", count: 15_000))),
        ("a long list", expression("a IN (" + String(repeating: "1,", count: 30_000))),
        (
            "many sources",
            "name: t\ntarget-database: {host: h, user: u}\nmysql-instances:\n"
                + (0..<5000).map { "  - {source-id: s\($0), black-white-list: a}\n" }.joined()
        ),
    ]

    @Test("hostile files end quickly, and in words", arguments: hostileTexts.map(\.name))
    func hostile(_ name: String) throws {
        let text = Self.hostileTexts.first { $0.name == name }?.text ?? ""
        let began = ContinuousClock.now
        #expect(try !check(Array(("task-mode: all\n" + text).utf8), 0, isTask: true))
        // Less than a second is the promise; machines that test are busy, and what explodes ends
        // never.
        #expect(ContinuousClock.now - began < .seconds(60))
    }

    @Test("other encodings are named")
    func encodings() throws {
        let text = TaskFileTests.full
        let wide = text.utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
        for bytes in [[0xFF, 0xFE] + wide, wide, Array("name: caf".utf8) + [0xE9]] {
            #expect {
                _ = try TaskSettings(bytes, .yaml, file: "f")
            } throws: {
                "\($0)".contains("is not UTF-8")
            }
        }
    }
}

extension String {
    /// Whether it is one line that a person can read.
    fileprivate var isOneLine: Bool {
        !unicodeScalars.contains { $0.value < 32 } && utf8.count < 2000 && !isEmpty
    }
}
