import Checkpoint
import DumpFiles
import Foundation
import MySQLClient
import MySQLCore
import MySQLSyntax
import Rules
import Runtime

@testable import Snapshot

/// A dump of files that a test writes, and what it is loaded by.
final class LoadStand: Sendable {
    let path = NSTemporaryDirectory() + "skein-routes-\(UUID().uuidString)"
    let configuration: LoadConfiguration

    /// - Parameters:
    ///   - options: the target, which pure tests do not ask.
    ///   - others: further sources of the task, with the same routes.
    init(
        _ options: ConnectionOptions, task: String, source: String = "one",
        _ routes: [RouteRule], _ files: [String: String], others: [String] = []
    ) throws {
        var mapping = try TableMapping(
            SourceRules(source: source, isCaseSensitive: true, routes: routes))
        if !others.isEmpty {
            var rules: [String: TableMapping] = [:]
            for other in others {
                rules[other] = try TableMapping(
                    SourceRules(source: other, isCaseSensitive: true, routes: routes))
            }
            mapping.share(with: rules)
        }
        var configuration = LoadConfiguration(
            target: options, directory: path, selection: ObjectSelection(mapping))
        configuration.meta = MetaSchema(name: "meta_\(task)")
        configuration.name = task
        configuration.source = source
        configuration.lanes = 1
        self.configuration = configuration
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
        var all = files
        all["metadata"] = "Started dump at: a\nFinished dump at: b\n"
        for (name, text) in all {
            try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func plan() throws -> LoadPlan {
        try LoadPlan(configuration, SyntaxContext(version: ServerVersion("8.0.36")))
    }

    @discardableResult
    func load(
        _ duplicates: LoadConfiguration.Duplicates = .error
    ) async throws -> LoadResult {
        var configuration = configuration
        configuration.duplicates = duplicates
        let engine = LoadEngine(configuration: configuration, progress: TransferProgress())
        return try await engine.run { RunToken(randomToken()) }
    }
}
