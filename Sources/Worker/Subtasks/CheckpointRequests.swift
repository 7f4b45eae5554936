internal import Checkpoint
internal import Logging
internal import MySQLClient
internal import Runtime
public import Settings

// What operators ask about checkpoints. The log tells who was asked for what, without texts of
// statements: they may hold what nobody else is to read.

extension WorkerRuntime {
    /// Shows the statement that a subtask has stopped at, or decides about it.
    public func statement(
        _ request: StatementRequest, at position: String?, _ settings: MigrationSettings
    ) async throws -> SubtaskStatement {
        let answer = try await atCheckpoint(settings) { try $0.statement(request, at: position) }
        if request != .show {
            logger.notice(
                "a decision about a statement was written",
                metadata: [
                    "task": "\(answer.name)", "source": "\(answer.sourceName)",
                    "decision": "\(answer.decision ?? "none")",
                    "statements": "\(answer.statements.count)",
                    "position": "\(answer.position ?? "")",
                ])
        }
        return answer
    }

    /// Shows table shapes of a subtask's checkpoint, or sets one.
    public func shapes(
        _ request: ShapeRequest, at position: String?, _ settings: MigrationSettings
    ) async throws -> SubtaskShapes {
        let answer = try await atCheckpoint(settings) { try $0.shapes(request, at: position) }
        if case .set(let table, let origin, let hasRows) = request {
            let from =
                switch origin {
                case .source: "source"
                case .target: "target"
                case .text: "text"
                }
            logger.notice(
                "a table's shape was set",
                metadata: [
                    "task": "\(answer.name)", "source": "\(answer.sourceName)", "table": "\(table)",
                    "from": "\(from)", "rows_are_there": "\(hasRows)",
                    "columns": "\(answer.tables.first?.columnCount ?? 0)",
                    "position": "\(answer.position ?? "")",
                ])
        }
        return answer
    }

    /// Asks a target, on a thread of its own. A few at a time: each takes a thread here and a
    /// connection there, which the engines need more than somebody who only looks.
    private func atCheckpoint<Answer: Sendable>(
        _ settings: MigrationSettings,
        _ body: @Sendable @escaping (SubtaskCheckpoint) throws -> Answer
    ) async throws -> Answer {
        if let files = settings.files {
            throw CheckpointRefusal(
                .missing, "a task with files (\(files.kind.rawValue)) follows no changes",
                remedy: "it has no statements and no shapes to look at")
        }
        guard try await checkpointTurns.take() else {
            throw CheckpointRefusal(
                .busy, "this worker is asked about as many checkpoints as it looks at at a time",
                remedy: "nothing was changed; try again, or ask another worker")
        }
        defer { checkpointTurns.giveBack() }
        do {
            return try await withThread("checkpoint") { try body(SubtaskCheckpoint(settings)) }
        } catch let error as CancellationError {
            throw error
        } catch let error as CheckpointRefusal {
            throw error
        } catch let error as UndecidableStatement {
            throw CheckpointRefusal(
                error.isOther ? .moved : .statement, error.description,
                remedy: "skein task ddl list shows the statement that a subtask has stopped at")
        } catch let error as UnsettableShape {
            throw CheckpointRefusal(
                error.isElsewhere ? .moved : .shape, error.description, remedy: error.remedy)
        } catch CheckpointError.missing(let detail) {
            throw CheckpointRefusal(
                .missing, "the target holds no checkpoint of this subtask: \(detail)",
                remedy: "it has none before it was started first")
        } catch {
            let described = describe(error)
            throw CheckpointRefusal(.server, described.message, remedy: described.remedy)
        }
    }
}
