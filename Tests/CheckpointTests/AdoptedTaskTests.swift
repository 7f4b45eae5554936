import MySQLClient
import MySQLCore
import TestServers
import Testing

@testable import Checkpoint

@Suite("Tasks of another tool's")
struct AdoptedTaskTests {
    @Test(
        "that a task was gone on with outlives the subtask, and counts for every name",
        arguments: Servers.families)
    func outlives(family: TestServer.Family) async throws {
        let subtask = try await Subtask(family, "adopted")
        let meta = subtask.meta
        let connection = try Connection(subtask.options)
        func isTaken(_ task: String = "shop", of source: String = "source") throws -> Bool {
            try AdoptedTask(task, source: source, meta: meta).isTaken(connection)
        }
        /// Begins a subtask of this name, as one that has not seen any other.
        func begin(_ name: String, _ n: UInt8, isAnew: Bool = false) throws -> Bool {
            let key = SubtaskKey(task: name, source: "source")
            let session = try TargetSession(subtask.options, role: .coordinator)
            let takeover = Takeover(meta: meta, key: key)
            _ = try takeover.create(session, identity: [1], rules: [1], phase: "start")
            _ = try takeover.take(session, token: subtask.token(n), epoch: .next, lanes: 0)
            return try Coordinator(
                session: session, meta: meta, key: key, token: subtask.token(n)
            ).beginFollowing(
                from: Subtask.position(1), consistentFrom: Subtask.position(1), shapes: [],
                adopting: Adoption(task: "shop", end: Subtask.position(3)), isAnew: isAnew)
        }
        func phase(_ name: String) throws -> String? {
            try Takeover(meta: meta, key: SubtaskKey(task: name, source: "source"))
                .peek(connection)?.phase
        }
        #expect(try !isTaken())
        #expect(try begin("one", 1))
        #expect(try phase("one") == "follow")
        #expect(try isTaken())
        #expect(try isTaken("Shop", of: "SOURCE"))
        #expect(try !isTaken("shop2"))
        #expect(try !isTaken(of: "source2"))
        // Another name that has not seen it does not begin, and nothing of it stays.
        #expect(try !begin("two", 2))
        #expect(try phase("two") == "start")
        let two = StoredObjects(meta: meta, key: SubtaskKey(task: "two", source: "source"))
        #expect(try two.read(connection).isEmpty)
        #expect(try begin("two", 3, isAnew: true))
        // Only what subtasks have recorded, as an earlier version did.
        try connection.execute("DELETE FROM \(meta.table("object")) WHERE kind='taken'; COMMIT")
        #expect(try isTaken())
        let newest: [(String, UInt8)] = [("one", 1), ("two", 3)]
        for (name, n) in newest {
            try Coordinator(
                session: TargetSession(subtask.options, role: .coordinator), meta: meta,
                key: SubtaskKey(task: name, source: "source"), token: subtask.token(n)
            ).forget()
            #expect(try phase(name) == nil)
            #expect(try isTaken())
        }
        #expect(try !begin("one", 4))
        // One that has adopted nothing, and is to adopt another task anew.
        try subtask.take(5)
        try subtask.coordinator(5).forget(adopting: "mall")
        #expect(try isTaken("mall"))
    }
}
