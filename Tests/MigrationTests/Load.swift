import Foundation
import MySQLClient
import MySQLCore
import Synchronization
import TestServers
import Testing

/// Numbers that look random, the same for the same seed (SplitMix64).
struct Dice: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number below `limit`.
    mutating func roll(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    /// A seed for a test: `SKEIN_SEED`, or a fresh one, which is printed.
    static func seed(_ test: String) -> UInt64 {
        let wanted = ProcessInfo.processInfo.environment["SKEIN_SEED"].flatMap { UInt64($0) }
        let seed = wanted ?? UInt64.random(in: 0...UInt64(UInt32.max))
        print("seed of \(test): SKEIN_SEED=\(seed)")
        return seed
    }
}

/// Threads that change a source until they are told to stop.
final class Load: Sendable {
    /// One step of a thread: some statements. Errors that are expected under load (duplicates,
    /// deadlocks, foreign keys) undo the step's transaction.
    typealias Step = @Sendable (Connection, inout Dice) throws -> Void

    private struct State {
        var isStopping = false
        var running = 0
        var steps = 0
        var failure: String?
    }

    private let state = Mutex(State())

    /// Starts threads on a server.
    ///
    /// - Parameter pause: how long a thread rests after a step, so that skein can keep up.
    init(
        _ server: TestServer, schema: String, threads: Int = 2, seed: UInt64,
        pause: Duration = .milliseconds(4), _ step: @escaping Step
    ) {
        for number in 0..<threads {
            state.withLock { $0.running += 1 }
            let thread = Thread { [self] in
                var dice = Dice(seed: seed &+ UInt64(number) &* 7919)
                run(server, schema, &dice, pause, step)
                state.withLock { $0.running -= 1 }
            }
            thread.stackSize = 1 << 20
            thread.start()
        }
    }

    /// Steps that were made.
    var steps: Int { state.withLock { $0.steps } }

    /// Waits until this many more steps were made.
    func more(_ count: Int) async throws {
        let goal = steps + count
        let deadline = ContinuousClock.now + .seconds(120)
        while steps < goal {
            if let failure = state.withLock({ $0.failure }) { throw Overdue("load: \(failure)") }
            guard ContinuousClock.now < deadline else { throw Overdue("the load stands still") }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Ends the threads and waits for them.
    func stop() async throws {
        state.withLock { $0.isStopping = true }
        while state.withLock({ $0.running }) > 0 { try await Task.sleep(for: .milliseconds(5)) }
        if let failure = state.withLock({ $0.failure }) { throw Overdue("load: \(failure)") }
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    private func run(
        _ server: TestServer, _ schema: String, _ dice: inout Dice, _ pause: Duration, _ step: Step
    ) {
        var connection: Connection?
        while !isStopping {
            do {
                let open = try connection ?? server.connect(schema)
                connection = open
                do {
                    try step(open, &dice)
                    state.withLock { $0.steps += 1 }
                } catch let error as MySQLError where !error.isConnectionLost {
                    try open.execute("ROLLBACK")
                    // Duplicates, foreign keys, deadlocks, and tables or columns that DDL took.
                    let expected: Set<UInt32> = [
                        1020, 1054, 1062, 1091, 1136, 1146, 1205, 1213, 1412, 1451, 1452, 1060,
                        1050, 1051, 1061, 1072, 1176, 1761, 3024,
                    ]
                    guard expected.contains(error.code) else { throw error }
                }
            } catch let error as MySQLError where error.isConnectionLost {
                connection = nil
                usleep(50_000)
            } catch {
                state.withLock { state in
                    state.failure = "\(error)"
                    state.isStopping = true
                }
            }
            usleep(UInt32(pause.components.attoseconds / 1_000_000_000_000))
        }
    }
}

/// The tables and changes of an everyday application: what most tests here migrate.
enum Shop {
    /// Tables with `rows` accounts in them.
    static func schema(rows: Int = 3000) -> String {
        """
        CREATE TABLE marker (id BIGINT PRIMARY KEY);
        CREATE TABLE digits (n INT PRIMARY KEY);
        INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
        CREATE TABLE accounts (
            id INT AUTO_INCREMENT PRIMARY KEY, balance BIGINT NOT NULL,
            owner VARCHAR(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
            changed TIMESTAMP(3) NULL, note TEXT);
        CREATE TABLE orders (
            id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, account INT NOT NULL,
            total DECIMAL(20,4), state ENUM('new','paid','sent') NOT NULL DEFAULT 'new',
            placed DATETIME(6), KEY (account));
        CREATE TABLE order_lines (
            order_id BIGINT UNSIGNED NOT NULL, line INT NOT NULL, what VARCHAR(40), price DOUBLE,
            PRIMARY KEY (order_id, line));
        CREATE TABLE words (
            word VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY,
            uses INT NOT NULL, UNIQUE KEY by_uses (uses, word));
        CREATE TABLE journal (at INT, what VARCHAR(20), data VARBINARY(20));
        INSERT INTO accounts (balance, owner, changed, note)
            SELECT 1000, CONCAT('Owner ', a.n, b.n, c.n, d.n, ' é😀'), '2024-02-29 12:00:00.123',
                REPEAT('note ', a.n)
            FROM digits a, digits b, digits c, digits d LIMIT \(rows);
        INSERT INTO orders (account, total, state, placed)
            SELECT id, id * 1.25, 1 + id % 3, '2024-05-05 05:05:05.555555' FROM accounts;
        INSERT INTO order_lines SELECT id, 1, CONCAT('thing ', id), id / 3 FROM orders;
        INSERT INTO journal SELECT id % 50, 'start', UNHEX('00FF') FROM accounts;
        """
    }

    /// One transaction, or single statement, of the application.
    static let step: Load.Step = { connection, dice in
        let id = 1 + dice.roll(3000)
        switch dice.roll(10) {
        case 0:
            try connection.execute(
                "INSERT INTO accounts (balance, owner, changed) VALUES "
                    + "(1000, 'Née \(dice.roll(100_000))', '2024-03-31 01:30:00')")
        case 1, 2:
            let other = 1 + dice.roll(3000)
            let amount = dice.roll(50)
            try connection.execute(
                """
                START TRANSACTION; \
                UPDATE accounts SET balance=balance-\(amount) WHERE id=\(min(id, other)); \
                UPDATE accounts SET balance=balance+\(amount) WHERE id=\(max(id, other)); \
                INSERT INTO journal VALUES (\(dice.roll(20)), 'transfer', NULL); COMMIT
                """)
        case 3:
            try connection.execute(
                """
                START TRANSACTION; INSERT INTO orders (account, total, placed) VALUES \
                (\(id), \(dice.roll(100_000)).5, NOW(6)); SET @o = LAST_INSERT_ID(); \
                INSERT INTO order_lines VALUES (@o, 1, 'a', 0.1), (@o, 2, 'b', 1e10); COMMIT
                """)
        case 4: try connection.execute("DELETE FROM order_lines WHERE order_id=\(id) LIMIT 1")
        case 5:
            try connection.execute(
                "INSERT INTO words VALUES ('w\(dice.roll(300))', 1) "
                    + "ON DUPLICATE KEY UPDATE uses=uses+1")
        case 6:
            try connection.execute(
                "UPDATE words SET word=CONCAT(UPPER(LEFT(word,1)), 'x\(dice.roll(300))') "
                    + "WHERE word='w\(dice.roll(300))'")
        case 7:
            try connection.execute(
                "INSERT INTO journal VALUES (\(dice.roll(20)), 'twin', 'a'), "
                    + "(\(dice.roll(20)), 'twin', 'A')")
        case 8:
            try connection.execute(
                dice.roll(2) == 0
                    ? "DELETE FROM journal WHERE at=\(dice.roll(60)) LIMIT 1"
                    : "UPDATE journal SET what='moved' WHERE at=\(dice.roll(60)) LIMIT 2")
        default:
            try connection.execute(
                "UPDATE orders SET state='sent', total=total+1 WHERE id=\(id); "
                    + "UPDATE orders SET id=id+1000000 WHERE id=\(1 + dice.roll(6000))")
        }
    }
}
