internal import API
internal import ArgumentParser
internal import Foundation
internal import Settings

/// Flags that say where workers are, and who asks.
struct EndpointFlags: ParsableArguments {
    /// Where a worker listens that was told nothing else.
    static let standard = "127.0.0.1:8261"

    @Option(
        help: ArgumentHelp(
            "A worker; repeats, and they are tried in turn (default: SKEIN_ENDPOINT, or \(standard)).",
            valueName: "https://host:port"))
    var endpoint: [String] = []

    @Option(
        help: ArgumentHelp(
            "File with the token to show, instead of SKEIN_TOKEN.", valueName: "file"))
    var tokenFile: String?

    @Option(
        help: ArgumentHelp(
            "The authority that workers' certificates are signed by (default: SKEIN_CA).",
            valueName: "file"))
    var ca: String?

    @Option(
        help: ArgumentHelp("How long one worker may take (default: 10s).", valueName: "span"))
    var timeout: String?

    /// Asks workers.
    ///
    /// - Parameter standard: how long one may take where nothing is said.
    func ask<Result>(
        atLeast standard: Duration = .seconds(10), _ body: (APIClient) async throws -> Result
    ) async throws -> Result {
        guard let limit = timeout.map({ TimeSpan($0)?.duration }) ?? standard, limit > .zero else {
            throw SettingsError("--timeout must be a time such as 10s")
        }
        let variable = environmentValue("SKEIN_ENDPOINT") ?? ""
        var endpoints = endpoint
        if endpoints.isEmpty { endpoints = variable.split(separator: ",").map(String.init) }
        if endpoints.isEmpty { endpoints = [Self.standard] }
        let client = try APIClient(
            endpoints: endpoints, token: token(), authorityFile: ca ?? environmentValue("SKEIN_CA"),
            limit: limit)
        do {
            let result = try await body(client)
            await client.shutdown()
            return result
        } catch {
            await client.shutdown()
            throw error
        }
    }

    private func token() throws -> String? {
        guard let tokenFile else { return environmentValue("SKEIN_TOKEN") }
        let text = try InputFile.text(tokenFile, "token file")
        return text.split(whereSeparator: \.isWhitespace).first.map(String.init)
    }
}

/// Files that a command reads.
enum InputFile {
    /// No settings are larger.
    private static let limit = 256 << 10

    /// The bytes of a file, `-` for standard input.
    static func bytes(_ path: String, _ what: String) throws(SettingsError) -> [UInt8] {
        let handle = path == "-" ? FileHandle.standardInput : FileHandle(forReadingAtPath: path)
        guard let data = try? handle?.read(upToCount: limit + 1) else {
            throw SettingsError("the \(what) can't be read", file: path)
        }
        guard data.count <= limit else {
            throw SettingsError("the \(what) is longer than \(limit >> 10) KiB", file: path)
        }
        return [UInt8](data)
    }

    /// The text of a file.
    static func text(_ path: String, _ what: String) throws(SettingsError) -> String {
        String(decoding: try bytes(path, what), as: UTF8.self)
    }

    /// How settings in a file are written.
    static func format(_ path: String) -> SettingsFormat { path.hasSuffix(".json") ? .json : .yaml }

    /// Whether a text of the command line means a file, not a name.
    static func isFile(_ text: String) -> Bool {
        text == "-" || text.contains("/")
            || [".yaml", ".yml", ".json"].contains { text.hasSuffix($0) }
    }
}
