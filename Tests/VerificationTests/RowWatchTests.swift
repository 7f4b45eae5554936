import MySQLCore
import TestServers
import Testing
import Verification

/// Rows that are compared when somebody tells that they may have changed.
@Suite struct RowWatchTests {
    private func watch(_ trial: Trial, batch: Int = 100) -> RowWatch {
        var options = VerificationOptions(comparing: [])
        options.parallelism = 2
        options.patience = .seconds(20)
        return RowWatch(
            source: Trial.options(trial.source), target: Trial.options(trial.target),
            options: options, batchRows: batch)
    }

    private func table(_ trial: Trial, _ name: String) -> ComparedTable {
        let name = TableName(schema: trial.schema, name: name)
        return ComparedTable(source: name, target: name)
    }

    private func pending(_ watch: RowWatch, _ trial: Trial) async -> [String: Int] {
        let found = await watch.findings(patience: .zero).pending
        return Dictionary(uniqueKeysWithValues: found.map { ($0.key.name, $0.value) })
    }

    @Test(
        "only rows that differ are pending, until they were equal", arguments: Trial.Pair.available)
    func rows(_ pair: Trial.Pair) async throws {
        let trial = try await Trial(pair)
        try trial.both(
            """
            CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20));
            INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'c'),(4,'d'),(5,'e');
            CREATE TABLE c (a VARCHAR(9) CHARACTER SET latin1, b INT, v DOUBLE, PRIMARY KEY (b, a));
            INSERT INTO c VALUES ('x',1,0.1),('Y',2,0.2);
            """)
        try trial.onTarget(
            "UPDATE t SET v='bad' WHERE id=2; DELETE FROM t WHERE id=3; UPDATE c SET v=9 WHERE b=2")
        try trial.onSource("DELETE FROM t WHERE id=4")
        let watch = watch(trial, batch: 2)
        let planned = try await watch.plan([table(trial, "t"), table(trial, "c")], parts: [:])
        #expect(planned.refused.isEmpty)
        #expect(planned.watchable.map(\.key) == [[0], [1, 0]])
        let (t, c) = (table(trial, "t").source, table(trial, "c").source)
        // 7 is nowhere: it was deleted, say.
        try await watch.look([
            t: [["1"], ["2"], ["3"], ["4"], ["7"]],
            c: [["1", "_latin1 x'78'"], ["2", "_latin1 x'59'"]],
        ])
        #expect(await pending(watch, trial) == ["t": 3, "c": 1])
        #expect(await watch.findings(patience: .zero).rows == 7)
        #expect(await watch.isIdle)
        // Nothing differs for long by one look.
        #expect(await watch.findings(patience: .zero).differing.isEmpty)
        for _ in 0..<2 { try await watch.lookAgain() }
        #expect(await watch.findings(patience: .zero).differing == [t: 3, c: 1])
        #expect(await watch.findings(patience: .seconds(600)).differing.isEmpty)

        try trial.onTarget("UPDATE t SET v='b' WHERE id=2; DELETE FROM t WHERE id=4")
        try await watch.lookAgain()
        #expect(await pending(watch, trial) == ["t": 1, "c": 1])
        // Told again when it is equal.
        try trial.onTarget("INSERT INTO t VALUES (3,'c'); UPDATE c SET v=0.2 WHERE b=2")
        try await watch.look([t: [["3"]]])
        #expect(await pending(watch, trial) == ["c": 1])
        try await watch.lookAgain()
        #expect(await pending(watch, trial).isEmpty)
        await watch.close()
    }

    @Test("keys of other columns, from before a statement, find no rows")
    func otherKey() async throws {
        let trial = try await Trial()
        try trial.both(
            "CREATE TABLE t (a INT, b INT, PRIMARY KEY (a, b)); INSERT INTO t VALUES (1,1),(1,2)")
        try trial.onTarget("DELETE FROM t")
        let watch = watch(trial)
        _ = try await watch.plan([table(trial, "t")], parts: [:])
        let name = table(trial, "t").source
        try await watch.look([name: [["1"], ["1", "2"], ["1", "2", "3"]]])
        #expect(await pending(watch, trial) == ["t": 1])
        let found = await watch.findings(patience: .zero)
        #expect(found.lost == 2 && found.rows == 1)
        #expect(await watch.isIdle)
        await watch.close()
    }

    @Test("a target that has what the source had follows, only later")
    func late() async throws {
        let trial = try await Trial()
        try trial.both("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1,1)")
        let watch = watch(trial)
        _ = try await watch.plan([table(trial, "t")], parts: [:])
        let name = table(trial, "t").source
        try trial.onSource("UPDATE t SET v=2")
        try await watch.look([name: [["1"]]])
        #expect(await pending(watch, trial) == ["t": 1])
        try trial.onSource("UPDATE t SET v=3")
        try trial.onTarget("UPDATE t SET v=2")
        try await watch.lookAgain()
        #expect(await pending(watch, trial).isEmpty)
        await watch.close()
    }

    @Test("what differs is taken up by another process; a row that is missing stays missing")
    func stored() async throws {
        let trial = try await Trial()
        try trial.both(
            "CREATE TABLE t (id VARCHAR(9) PRIMARY KEY, v INT); INSERT INTO t VALUES ('a',1),('b',1)"
        )
        try trial.onTarget("DELETE FROM t WHERE id='a'; UPDATE t SET v=2")
        let name = table(trial, "t").source
        let first = watch(trial)
        _ = try await first.plan([table(trial, "t")], parts: [:])
        try await first.look([name: [["_utf8mb4 x'61'"], ["_utf8mb4 x'62'"]]])
        let kept = await first.stored
        await first.close()
        #expect(kept.count == 2)

        let second = watch(trial)
        await second.restore(kept)
        #expect(await second.unplanned == [name])
        _ = try await second.plan([table(trial, "t")], parts: [:])
        for _ in 0..<3 { try await second.lookAgain() }
        #expect(await second.findings(patience: .zero).differing == [name: 2])
        try trial.onTarget("UPDATE t SET v=1; INSERT INTO t VALUES ('a',1)")
        try await second.lookAgain()
        #expect(await pending(second, trial).isEmpty)
        await second.close()
    }

    @Test(
        "rows wait while their table can't be compared, and are looked at when it is planned anew")
    func changedTables() async throws {
        let trial = try await Trial()
        try trial.both(
            "CREATE TABLE t (id INT PRIMARY KEY, v INT, w INT); INSERT INTO t VALUES (1,1,1)")
        let name = table(trial, "t").source
        let watch = watch(trial)
        _ = try await watch.plan([table(trial, "t")], parts: [:])
        try trial.both("ALTER TABLE t DROP COLUMN w")
        try trial.onTarget("UPDATE t SET v=2")
        try await watch.look([name: [["1"]]])
        #expect(await watch.failed.keys.contains(name))
        #expect(await watch.isIdle == false)
        _ = try await watch.plan([table(trial, "t")], parts: [:])
        try await watch.look([:])
        #expect(await watch.failed.isEmpty)
        #expect(await pending(watch, trial) == ["t": 1])
        // It is gone on both sides: so are its rows.
        try trial.both("DROP TABLE t")
        try await watch.lookAgain()
        #expect(await watch.failed.keys.contains(name))
        let planned = try await watch.plan([table(trial, "t")], parts: [:])
        #expect(planned.refused.keys.contains(name))
        await watch.giveUp(name)
        #expect(await pending(watch, trial).isEmpty)
        #expect(await watch.findings(patience: .zero).lost == 1)
        await watch.close()
    }

    @Test("tables whose rows no key identifies on both sides are refused by name")
    func keyless() async throws {
        let trial = try await Trial()
        try trial.both("CREATE TABLE k (a INT); CREATE TABLE n (id INT, UNIQUE (id))")
        try trial.onSource("CREATE TABLE s (id INT PRIMARY KEY)")
        let watch = watch(trial)
        let planned = try await watch.plan(
            ["k", "n", "s"].map { table(trial, $0) }, parts: [:])
        #expect(planned.watchable.isEmpty)
        #expect(Set(planned.refused.keys.map(\.name)) == ["k", "n", "s"])
        #expect(planned.refused[table(trial, "s").source]?.contains("missing") == true)
        await watch.close()
    }

    @Test("of a table that others write to, rows that the source has not are theirs")
    func merged() async throws {
        let trial = try await Trial()
        try trial.onSource(
            """
            CREATE TABLE a (id INT PRIMARY KEY, v INT); CREATE TABLE b LIKE a;
            INSERT INTO a VALUES (1,1),(2,2); INSERT INTO b VALUES (3,3);
            """)
        try trial.onTarget(
            "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1,1),(2,7),(3,3)")
        let target = TableName(schema: trial.schema, name: "t")
        let a = TableName(schema: trial.schema, name: "a")
        let b = TableName(schema: trial.schema, name: "b")
        let watch = watch(trial)
        _ = try await watch.plan(
            [ComparedTable(source: a, target: target), ComparedTable(source: b, target: target)],
            parts: [target: [TablePart(table: a, filled: []), TablePart(table: b, filled: [])]])
        try await watch.look([a: [["1"], ["2"], ["3"]], b: [["3"], ["1"]]])
        #expect(await pending(watch, trial) == ["a": 1])
        await watch.close()
    }
}
