import Foundation
import Glibc
import Testing

@testable import Metadata

@Suite("A child ends with its parent", .enabled(if: EtcdMember.isAvailable))
struct ParentDeathTests {
    @Test("kill -9 of the parent ends its etcd")
    func parentKilled() async throws {
        let path = FileManager.default.temporaryDirectory.path + "/skein-pid-\(UUID().uuidString)"
        defer { unlink(path) }
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let member = try EtcdMember("orphan")
            let running = Task { try await member.server.run(.alone) }
            defer { running.cancel() }
            try await member.up()
            let pid = try #require(member.server.pid)
            try "\(pid)".write(toFile: path, atomically: true, encoding: .utf8)
            kill(getpid(), SIGKILL)
        }
        let pid = try #require(pid_t(try String(contentsOfFile: path, encoding: .utf8)))
        try await eventually { kill(pid, 0) == -1 && errno == ESRCH }
    }

    @Test("a child ends although the task and the thread that asked for it have ended; not before")
    func threads() async throws {
        let process = try await Task.detached {
            try await SupervisedProcess(
                program: "/bin/sleep", arguments: ["1000"], environment: [], output: "/dev/null")
        }.value
        try await Task.sleep(for: .milliseconds(100))
        let pid = try #require(process.pid)
        #expect(kill(pid, 0) == 0)
        await process.stop(patience: .seconds(60))
        #expect(await process.ended() == .killed(signal: SIGTERM))
        #expect(process.pid == nil)
        process.send(SIGKILL)
    }

    @Test("exit codes are told, and what cannot be started")
    func endings() async throws {
        let output = FileManager.default.temporaryDirectory.path + "/skein-\(UUID().uuidString)"
        defer { unlink(output) }
        let process = try await SupervisedProcess(
            program: "/bin/sh", arguments: ["-c", "echo $A; exit 3"], environment: ["A=b"],
            output: output)
        #expect(await process.ended() == .exited(3))
        #expect(try String(contentsOfFile: output, encoding: .utf8) == "b\n")
        await expect(.process) {
            _ = try await SupervisedProcess(
                program: "/tmp", arguments: [], environment: [], output: "/dev/null")
        }
        await expect(.process) {
            _ = try await SupervisedProcess(
                program: "/bin/true", arguments: [], environment: [], output: "/nowhere/log")
        }
    }
}
