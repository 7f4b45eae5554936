import Foundation
import MySQLCore
import MySQLSyntax
import Testing

/// Nothing that can be written as a statement crashes, hangs or fills the memory. Seeds are
/// printed with a failure; SKEIN_FUZZ_SECONDS makes the run longer.
@Suite struct FuzzTests {
    private let words = [
        "create", "table", "alter", "drop", "add", "column", "key", "primary", "unique", "(", ")",
        ",", ";", ".", "`a`", "'x'", "1", "int", "varchar", "(10)", "enum", "('a')", "default",
        "references", "foreign", "constraint", "check", "index", "if", "not", "exists", "null",
        "rename", "to", "view", "trigger", "as", "select", "from", "t", "s.t", "with", "on", "/*",
        "*/", "/*!50100", "/*M!", "--", "\n", "@", "@@x", "\"", "`", "'", "\\", "=", "first",
        "after", "partition", "by", "values", "begin", "xa", "start", "x'61'", "update", "set",
        "delete", "insert", "into", "definer", "convert", "charset", "binary", "generated",
        "always", "period", "for", "system", "versioning", "\u{0}", "ä", "case", "end", "like",
    ]

    private func exercise(_ bytes: [UInt8], _ context: SyntaxContext, _ state: inout SchemaState) {
        do {
            let statement = try parseStatement(bytes, context: context)
            for table in statement.tables {
                #expect(table.nameRange.upperBound <= bytes.count)
            }
            let same = statement.rewritten(
                renaming: { $0 }, defaultSchema: context.defaultSchema)
            #expect(same == bytes)
            _ = statement.rewritten(
                renaming: { TableName(schema: $0.schema + "x", name: $0.name + "y") },
                defaultSchema: nil)
            if let ddl = statement.ddl {
                _ = (ddl.tablesBefore, ddl.tablesAfter, ddl.changesShape)
                _ = try? state.apply(ddl, context: context)
            }
        } catch {
            #expect(error.offset <= bytes.count)
        }
    }

    private func contexts() -> [SyntaxContext] {
        var oracle = mariadb
        oracle.sqlMode = [.oracle, .ansiQuotes, .noBackslashEscapes]
        var chinese = mysql
        chinese.encoding = .unsafeTrail
        return [mariadb, mysql, oracle, chinese]
    }

    private var seconds: Double {
        Double(ProcessInfo.processInfo.environment["SKEIN_FUZZ_SECONDS"] ?? "") ?? 1
    }

    @Test func randomTokensNeverCrash() {
        let end = Date().addingTimeInterval(seconds)
        var seed: UInt64 = 1
        while Date() < end {
            var random = SplitMix(state: seed)
            var state = SchemaState()
            for _ in 0..<50 {
                let count = Int(random.next() % 40)
                let text = (0..<count).map { _ in
                    words[Int(random.next() % UInt64(words.count))]
                }
                let joined = text.joined(separator: random.next() % 4 == 0 ? "" : " ")
                let context = contexts()[Int(random.next() % 4)]
                exercise(Array(joined.utf8), context, &state)
            }
            seed += 1
        }
    }

    @Test func mutatedStatementsNeverCrash() throws {
        let golden = try GoldenShapes(named: "mariadb-10.11.txt")
        let corpus = golden.scenarios.flatMap { $0.steps.map { Array($0.statement.utf8) } }
        let end = Date().addingTimeInterval(seconds)
        var seed: UInt64 = 1
        while Date() < end {
            var random = SplitMix(state: seed &* 31)
            var state = SchemaState()
            for _ in 0..<50 {
                var bytes = corpus[Int(random.next() % UInt64(corpus.count))]
                for _ in 0..<(random.next() % 4) {
                    mutate(&bytes, corpus, &random)
                }
                let context = contexts()[Int(random.next() % 4)]
                exercise(bytes, context, &state)
            }
            seed += 1
        }
    }

    private func mutate(
        _ bytes: inout [UInt8], _ corpus: [[UInt8]], _ random: inout SplitMix
    ) {
        guard !bytes.isEmpty else { return }
        let at = Int(random.next() % UInt64(bytes.count))
        switch random.next() % 5 {
        case 0: bytes.remove(at: at)
        case 1: bytes[at] = UInt8(truncatingIfNeeded: random.next())
        case 2: bytes.removeSubrange(at...)
        case 3:
            bytes.insert(contentsOf: words[Int(random.next() % UInt64(words.count))].utf8, at: at)
        default:
            let other = corpus[Int(random.next() % UInt64(corpus.count))]
            bytes.insert(contentsOf: other.suffix(Int(random.next() % 40)), at: at)
        }
    }

    @Test func everyPrefixOfEveryStatementIsRead() throws {
        let golden = try GoldenShapes(named: "mysql-9.7.txt")
        var state = SchemaState()
        for step in golden.scenarios.prefix(14).flatMap(\.steps) {
            let bytes = Array(step.statement.utf8)
            for length in stride(from: bytes.count % 3, to: bytes.count, by: 3) {
                exercise(Array(bytes[..<length]), mysql, &state)
            }
        }
    }

    /// Deep nesting and long lists take linear time and no stack.
    @Test(arguments: [
        "(", "select (", "create view v as select * from (", "create table t (a int check (",
        "/*!50100 ", "/* ", "a.", "case ", "select a from b, ", "with a as (",
        "alter table t add (",
        "drop table a, ", "create table t (a int default (", "'", "`", "set statement a = (",
        "insert into t values (1), ", "@", "create table t (a enum('a',", "-- \n",
        "create table t (k int, key (k), ", "begin work ", "delete from a using b, ",
        "create trigger a before insert on b for each row insert into c ", "x'", "0x", "1.",
    ])
    func repetitionIsLinear(piece: String) {
        var context = mariadb
        context.tokenLimit = 15_000
        var state = SchemaState()
        let clock = ContinuousClock()
        for text in [
            String(repeating: piece, count: 6_000), piece + String(repeating: "(", count: 30_000),
        ] {
            let time = clock.measure { exercise(Array(text.utf8), context, &state) }
            #expect(time < .seconds(30))
        }
    }
}

/// A small seeded generator, so that a failing seed reproduces.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
