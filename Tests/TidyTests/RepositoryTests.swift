import Foundation
import Testing

@Suite("The repository")
struct RepositoryTests {
    @Test("documents link to files and headings that exist")
    func links() {
        var dead: [String] = []
        for document in SourceTree.documents {
            let folder = document.path.split(separator: "/").dropLast().joined(separator: "/")
            for match in document.text.matches(of: /\]\(([^)\s]+)\)/) {
                let link = String(match.1)
                if link.contains("://") || link.hasPrefix("mailto:") { continue }
                let parts = link.split(
                    separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
                var path = document.path
                if !parts[0].isEmpty {
                    let relative = URL(filePath: "/" + folder).appending(path: String(parts[0]))
                    path = String(relative.standardized.path.drop { $0 == "/" })
                }
                if !SourceTree.exists(path) {
                    dead.append("\(document.path): \(link)")
                } else if parts.count == 2, !headings(path).contains(String(parts[1])) {
                    dead.append("\(document.path): \(link) (no such heading)")
                }
            }
        }
        #expect(dead == [])
    }

    @Test("documents name commands of make and scripts that exist")
    func commands() throws {
        let makefile = try #require(SourceTree.files.first { $0.path == "Makefile" })
        let targets = Set(makefile.text.matches(of: /(?m)^(\w+):/).map { String($0.1) })
        var unknown: [String] = []
        for document in SourceTree.documents {
            for match in document.text.matches(of: /`make (\w+)/)
            where !targets.contains(String(match.1)) {
                unknown.append("\(document.path): make \(match.1)")
            }
            for match in document.text.matches(of: /`(scripts\/[\w-]+)/)
            where !SourceTree.exists(String(match.1)) {
                unknown.append("\(document.path): \(match.1)")
            }
        }
        #expect(unknown == [])
    }

    @Test("scripts run: they are executable, stop at errors and say what they are for")
    func scripts() {
        let scripts = SourceTree.files.filter {
            $0.path.hasPrefix("scripts/") || $0.path == ".ci/run"
        }
        #expect(!scripts.isEmpty)
        for script in scripts where script.text.hasPrefix("#!/bin/bash") {
            let path = SourceTree.folder + "/" + script.path
            #expect(FileManager.default.isExecutableFile(atPath: path), "\(script.path)")
            #expect(script.text.contains("\nset -euo pipefail\n"), "\(script.path)")
            #expect(script.lines.count > 1 && script.lines[1].hasPrefix("# "), "\(script.path)")
        }
    }

    @Test(
        "generated code is made from the files that it names",
        arguments: [
            ("Sources/Metadata/Generated/etcd.pb.swift", "scripts/etcd-api/etcd.proto"),
            ("Sources/Peer/Generated/peer.pb.swift", "scripts/peer-api/peer.proto"),
        ])
    func generated(code path: String, from description: String) throws {
        let code = try #require(SourceTree.files.first { $0.path == path })
        let checksum = Process()
        checksum.executableURL = URL(filePath: "/usr/bin/env")
        checksum.arguments = ["cksum"]
        checksum.standardInput = try FileHandle(
            forReadingFrom: URL(filePath: SourceTree.folder + "/" + description))
        let output = Pipe()
        checksum.standardOutput = output
        try checksum.run()
        let sum = String(
            decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        checksum.waitUntilExit()
        #expect(code.lines[0].hasSuffix("checksum \(sum.dropLast())."), "\(description)")
    }

    @Test("nothing that is built is tracked", .enabled(if: SourceTree.exists(".git")))
    func tracked() throws {
        let git = Process()
        git.executableURL = URL(filePath: "/usr/bin/env")
        git.arguments = [
            "git", "-c", "safe.directory=*", "-C", SourceTree.folder, "ls-files", "-z", ".build",
            ".cache", ".swiftpm", "*.o", "*.xctest",
        ]
        let output = Pipe()
        git.standardOutput = output
        try git.run()
        let names = try output.fileHandleForReading.readToEnd() ?? Data()
        git.waitUntilExit()
        #expect(git.terminationStatus == 0)
        #expect(String(decoding: names, as: UTF8.self) == "")
    }

    /// The anchors of a document's headings, as the web pages of code hosts make them.
    private func headings(_ path: String) -> Set<String> {
        guard let document = SourceTree.documents.first(where: { $0.path == path }) else {
            return []
        }
        let titles = document.lines.compactMap { $0.firstMatch(of: /^#+ +(.*)$/)?.1 }
        return Set(
            titles.map { title in
                title.lowercased().filter { $0.isLetter || $0.isNumber || " -_".contains($0) }
                    .replacing(" ", with: "-")
            })
    }
}
