import Glibc
import Logging
import Settings
import Testing

@testable import Worker

/// Who may only look must not take what the engines need: threads here, connections there.
@Suite("Many who look at checkpoints")
struct CheckpointTurnsTests {
    @Test("turns are given in order, and whoever would wait for long is sent away")
    func turns() async throws {
        let turns = Turns(atOnce: 2, patience: .milliseconds(50))
        #expect(try await turns.take())
        #expect(try await turns.take())
        #expect(try await !turns.take())
        turns.giveBack()
        #expect(try await turns.take())
        let patient = Turns(atOnce: 1, patience: .seconds(300))
        #expect(try await patient.take())
        let waiting = Task { try await patient.take() }
        let gone = Task { try await patient.take() }
        try await Task.sleep(for: .milliseconds(50))
        gone.cancel()
        await #expect(throws: CancellationError.self) { try await gone.value }
        patient.giveBack()
        #expect(try await waiting.value)
        patient.giveBack()
        #expect(try await patient.take())
    }

    @Test("fifty at once open a few connections to the target, and the others are told at once")
    func connections() async throws {
        // It never says a word, so that who has a turn keeps it.
        let silent = try RawHTTP.silentListener()
        defer { close(silent.file) }
        let server = "host: 127.0.0.1, port: \(silent.port), user: u, connect-timeout: 20s"
        let task = try TaskSettings(
            Array("name: t\ntarget: {\(server)}\nsources: [s]\ntables: ['a.*']\n".utf8), .yaml,
            file: "task")
        let settings = try task.migrationSettings(
            SourceSettings(
                Array("source-id: s\nsource: {\(server)}\n".utf8), .yaml, file: "source"))
        let worker = WorkerRuntime(
            name: "w", dataFolder: "/nonexistent",
            describe: {
                SubtaskError(
                    code: "c", message: "\($0)", remedy: nil, isRetryable: true, time: 0)
            }, logger: Logger(label: "w") { _ in SwiftLogNoOpLogHandler() })
        let kinds = await withTaskGroup(of: CheckpointRefusal.Kind?.self) { group in
            for n in 0..<50 {
                group.addTask {
                    do {
                        if n.isMultiple(of: 2) {
                            _ = try await worker.statement(.show, at: nil, settings)
                        } else {
                            _ = try await worker.shapes(.show(nil), at: nil, settings)
                        }
                        return nil
                    } catch {
                        return (error as? CheckpointRefusal)?.kind
                    }
                }
            }
            var kinds: [CheckpointRefusal.Kind?] = []
            for await kind in group { kinds.append(kind) }
            return kinds
        }
        #expect(kinds.count { $0 == .busy } == 46, "\(kinds)")
        #expect(kinds.count { $0 == .server } == 4, "\(kinds)")
        // All that ever came are still in the listener's queue.
        var opened = 0
        _ = fcntl(silent.file, F_SETFL, O_NONBLOCK)
        while true {
            let file = accept(silent.file, nil, nil)
            if file < 0 { break }
            close(file)
            opened += 1
        }
        #expect(opened == 4)
    }
}
