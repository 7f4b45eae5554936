import Testing

@Suite("What sources do not contain")
struct ConstructTests {
    private func places(of pattern: some RegexComponent, in files: [SourceTree.File]) -> [String] {
        files.flatMap { $0.places(of: pattern) }
    }

    // The patterns are written so that they do not find themselves.

    @Test("nothing is forced that the world can refuse")
    func forced() {
        #expect(places(of: /\btry[!]/, in: SourceTree.swift) == [])
        #expect(places(of: /\bfatal[E]rror\(/, in: SourceTree.swift) == [])
    }

    @Test("nothing is left for later")
    func unfinished() {
        #expect(places(of: /\b(?:TO[D]O|FIX[M]E|XX[X])\b/, in: SourceTree.files) == [])
    }

    @Test("what the compiler does not check for data races says why it is safe")
    func unchecked() {
        var silent: [String] = []
        for file in SourceTree.swift {
            let lines = file.lines
            for (number, line) in lines.enumerated()
            where line.contains(/@unchecked [S]endable|nonisolated\([u]nsafe\)/) {
                let nearby = lines[max(0, number - 15)..<min(lines.count, number + 6)]
                if !nearby.contains(where: { $0.contains(/SAFE[T]Y:/) }) {
                    silent.append("\(file.path):\(number + 1)")
                }
            }
        }
        #expect(silent == [])
    }

    @Test("a file has one subject: at most 600 lines")
    func long() {
        let long = SourceTree.swift.filter {
            $0.lines.count > 601 && !$0.path.contains("/Generated/")
        }
        #expect(long.map { "\($0.path): \($0.lines.count) lines" } == [])
    }

    @Test("names say what a thing is")
    func names() {
        let vague = /(?:Util|Utils|Manager|Helper|Helpers|Common)(?:\.swift)?$/
        let files = SourceTree.swift.filter { $0.name.contains(vague) }
        #expect(files.map { $0.path } == [])
        let types =
            /\b(?:class|struct|enum|actor|protocol|typealias)\s+\w*(?:Util|Utils|Manager|Helper|Helpers|Common)\b/
        #expect(places(of: types, in: SourceTree.swift) == [])
    }

    @Test("sources know nothing of the place where they were written")
    func places() {
        let folders = /(?:^|[\s"'`(=])\/(?:[w]ork|[h]ome)\/|\.\.\/[s]hared/
        let hosts = /:\/\/[\w.-]+\.(?:[e]xample|[i]nternal|[l]ocal|[c]orp|[l]an)\b/
        let issues = /\b[iI]ssue #?\d+\b/
        #expect(places(of: folders, in: SourceTree.files) == [])
        #expect(places(of: hosts, in: SourceTree.files) == [])
        #expect(places(of: issues, in: SourceTree.files) == [])
    }
}
