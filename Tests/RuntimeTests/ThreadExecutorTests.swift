import Foundation
import Synchronization
import Testing

@testable import Runtime

@Suite("A thread as executor")
struct ThreadExecutorTests {
    private struct Failed: Error {}

    /// The thread that runs the caller, as the kernel names it.
    private static func threadName() -> String {
        let name = try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
        return (name ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private actor Log {
        nonisolated let executor: ThreadExecutor
        var numbers: [Int] = []
        var threads: Set<String> = []

        nonisolated var unownedExecutor: UnownedSerialExecutor {
            executor.asUnownedSerialExecutor()
        }

        init(_ executor: ThreadExecutor) { self.executor = executor }

        func note(_ n: Int) {
            numbers.append(n)
            threads.insert(ThreadExecutorTests.threadName())
        }
    }

    @Test("jobs run in order, on its own thread")
    func order() async {
        let executor = ThreadExecutor(name: "order")
        let log = Log(executor)
        for n in 0..<1000 { await log.note(n) }
        #expect(await log.numbers == Array(0..<1000))
        #expect(await log.threads == ["order"])
        executor.stop()
    }

    @Test("a task that prefers it stays on it, over waits too")
    func stays() async throws {
        let names = try await withThread("stays") {
            var names = [ThreadExecutorTests.threadName()]
            try await Task.sleep(for: .milliseconds(5))
            names.append(ThreadExecutorTests.threadName())
            await Task.yield()
            names.append(ThreadExecutorTests.threadName())
            return names
        }
        #expect(names == ["stays", "stays", "stays"])
    }

    @Test("withThread gives what its body returns, and throws what it throws")
    func outcome() async throws {
        #expect(try await withThread("value") { 42 } == 42)
        await #expect(throws: Failed.self) {
            _ = try await withThread("error") { () -> Int in throw Failed() }
        }
    }

    @Test("withThread passes cancellation on")
    func cancellation() async throws {
        let task = Task {
            try await withThread("cancelled") { try await Task.sleep(for: .seconds(600)) }
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test("threads end with their work")
    func ends() async throws {
        func threads() -> Int {
            let folder = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")
            return (folder ?? []).count { id in
                let name = try? String(
                    contentsOfFile: "/proc/self/task/\(id)/comm", encoding: .utf8)
                return name == "short-lived\n"
            }
        }
        for _ in 0..<50 { try await withThread("short-lived") {} }
        for _ in 0..<500 where threads() > 0 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(threads() == 0)
    }

    @Test("names are cut to what the kernel keeps")
    func longName() async throws {
        let name = try await withThread("a name that is much too long") {
            ThreadExecutorTests.threadName()
        }
        #expect(name == "a name that is")
    }
}
