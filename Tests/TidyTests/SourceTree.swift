import Foundation

/// The repository's files, as they lie beside this one.
enum SourceTree {
    /// One text file.
    struct File {
        /// The path below the repository's folder.
        let path: String
        let text: String

        var name: String { path.split(separator: "/").last.map { String($0) } ?? path }
        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }

        /// `path:line` of each line that the pattern is found in, comments included.
        func places(of pattern: some RegexComponent) -> [String] {
            lines.enumerated().filter { $0.element.contains(pattern) }
                .map { "\(path):\($0.offset + 1)" }
        }
    }

    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    /// Folders that hold what is made, not what is written.
    private static let made: Set<String> = [".build", ".cache", ".git", ".swiftpm"]

    /// Every file that a person writes, but for binary ones.
    static let files: [File] = {
        guard let paths = FileManager.default.enumerator(atPath: folder) else { return [] }
        var files: [File] = []
        for case let path as String in paths {
            if made.contains(path) { paths.skipDescendants() }
            let name = path.split(separator: "/").last.map { String($0) } ?? path
            guard !path.contains("/Golden/"), name != "Package.resolved", name != ".git" else {
                continue
            }
            var isFolder: ObjCBool = false
            let exists = FileManager.default.fileExists(
                atPath: folder + "/" + path, isDirectory: &isFolder)
            guard exists, !isFolder.boolValue,
                let text = try? String(contentsOfFile: folder + "/" + path, encoding: .utf8)
            else { continue }
            files.append(File(path: path, text: text))
        }
        return files.sorted { $0.path < $1.path }
    }()

    /// Swift files of `Sources` and `Tests`.
    static let swift = files.filter { file in
        file.path.hasSuffix(".swift") && file.path.contains("/")
    }

    /// Files in Markdown.
    static let documents = files.filter { $0.path.hasSuffix(".md") }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: folder + "/" + path)
    }
}
