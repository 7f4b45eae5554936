import MySQLClient
import Synchronization
import TestServers
import Testing

extension MigrationTests {
    /// Transactions become visible whole.
    @Suite("Whole transactions", .serialized)
    struct TransferTests {
        private static let accounts = 200
        private static let total = accounts * 2 * 1000

        private static let schema = """
            CREATE TABLE marker (id BIGINT PRIMARY KEY);
            CREATE TABLE left_side (id INT PRIMARY KEY, balance BIGINT NOT NULL, pad VARCHAR(50));
            CREATE TABLE right_side (id INT PRIMARY KEY, balance BIGINT NOT NULL, UNIQUE KEY (balance, id));
            INSERT INTO left_side SELECT seq, 1000, 'x' FROM seq_1_to_\(accounts);
            INSERT INTO right_side SELECT id, 1000 FROM left_side;
            """

        /// Moves money between some accounts of both tables; now and then an account moves too.
        private static let transfer: Load.Step = { connection, dice in
            try connection.execute("START TRANSACTION")
            var sum = 0
            func add(_ amount: Int, _ side: String) throws -> Bool {
                try connection.execute(
                    "UPDATE \(side) SET balance=balance+\(amount) "
                        + "WHERE id=\(1 + dice.roll(accounts))") == 1
            }
            for _ in 0..<(1 + dice.roll(5)) {
                let amount = 1 + dice.roll(50)
                sum += amount
                guard try add(amount, dice.roll(2) == 0 ? "left_side" : "right_side") else {
                    try connection.execute("ROLLBACK")
                    return
                }
            }
            guard try add(-sum, "left_side") else {
                try connection.execute("ROLLBACK")
                return
            }
            if dice.roll(8) == 0 {
                let id = 1 + dice.roll(accounts)
                try connection.execute(
                    """
                    SET @b = (SELECT balance FROM right_side WHERE id=\(id) FOR UPDATE); \
                    DELETE FROM right_side WHERE id=\(id); \
                    INSERT INTO right_side VALUES (\(id), @b)
                    """)
            }
            try connection.execute("COMMIT")
        }

        @Test("a reader of the target sees every transfer whole or not at all")
        func sums() async throws {
            let seed = Dice.seed("sums")
            let trial = try await Trial(.mariadb, "sums", Self.schema)
            let load = Load(
                trial.source, schema: trial.schema, threads: 4, seed: seed,
                pause: .milliseconds(1), Self.transfer)
            var skein = try trial.migrate("--lanes", "6")
            try await trial.copied(skein)
            // From here on everything that the copy overlapped is applied.
            try await trial.applied(skein)
            let question =
                "SELECT (SELECT SUM(balance) FROM left_side) + "
                + "(SELECT SUM(balance) FROM right_side)"
            let reader = try trial.target.connect(trial.schema)
            var sums: [String: Int] = [:]
            for round in 0..<1500 {
                let sum = try reader.value(question)
                sums[sum ?? "NULL", default: 0] += 1
                if round % 500 == 250 {
                    skein.kill()
                    skein = try trial.migrate("--lanes", "6")
                }
                try await Task.sleep(for: .milliseconds(2))
            }
            #expect(sums.count == 1 && sums["\(Self.total)"] != nil, "\(sums)")
            try await load.stop()
            try await trial.applied(skein)
            let last = try trial.onTarget(question)
            #expect(last == "\(Self.total)\n")
            try await trial.stop(skein)
            try await trial.expectEqual()
        }
    }
}
