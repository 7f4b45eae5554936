import Testing

@Suite("Who imports whom")
struct ImportTests {
    private static let manifest = SourceTree.files.first { $0.path == "Package.swift" }
    private let table = ImportTable(manifest: Self.manifest?.text ?? "")

    /// Modules without I/O, clock and Foundation: fuzzing and property tests live on that.
    private static let pure = [
        "MySQLCore", "MySQLSyntax", "MySQLBinlog", "Rules", "DumpFiles",
    ]

    /// What comes with the compiler.
    private static let toolchain: Set<String> = [
        "Swift", "Synchronization", "Foundation", "FoundationEssentials", "Glibc", "Dispatch",
        "Testing",
    ]

    /// One `import` of one file.
    private struct Import {
        let module: String
        let imported: String
        let place: String
    }

    private static let imports: [Import] = SourceTree.swift.flatMap { file -> [Import] in
        let module = String(file.path.split(separator: "/")[1])
        let line =
            /^(?:@testable\s+|@preconcurrency\s+|@_\w+(?:\([^)]*\))?\s+)*(?:public |package |internal |private )?import (?:struct |class |enum |func |var |let |protocol |typealias )?(\w+)/
        return file.lines.enumerated().compactMap { number, text in
            text.firstMatch(of: line).map {
                Import(
                    module: module, imported: String($0.1), place: "\(file.path):\(number + 1)")
            }
        }
    }

    @Test("the manifest's table is read as it is written")
    func readsTable() throws {
        #expect(table.modules.count > 20)
        #expect(table["MySQLCore"]?.imports == ["CXXHash"])
        #expect(table["Settings"]?.imports.contains("Yams") == true)
        #expect(table["skein"]?.imports == ["Commands"])
        #expect(table["TidyTests"]?.isTests == true)
    }

    @Test("a module imports what the manifest declares, and nothing else")
    func declared() {
        let undeclared = Self.imports.filter { it in
            !Self.toolchain.contains(it.imported)
                && table[it.module]?.imports.contains(it.imported) != true
        }
        #expect(undeclared.map { "\($0.place) imports \($0.imported)" } == [])
    }

    @Test("a module of Sources declares nothing that it does not import")
    func unused() {
        let used = Dictionary(grouping: Self.imports) { $0.module }
            .mapValues { Set($0.map { $0.imported }) }
        var unused: [String] = []
        for module in table.modules where !module.isTests {
            // A module of which nothing is written yet.
            guard let imported = used[module.name] else { continue }
            for name in module.imports.subtracting(imported).sorted() {
                unused.append("\(module.name) declares \(name)")
            }
        }
        #expect(unused == [])
    }

    @Test("a module is declared below those that it imports")
    func ordered() {
        var seen: Set<String> = []
        let own = Set(table.modules.map { $0.name })
        var wrong: [String] = []
        for module in table.modules {
            for name in module.imports.sorted() where own.contains(name) && !seen.contains(name) {
                wrong.append("\(module.name) imports \(name), which comes later")
            }
            seen.insert(module.name)
        }
        #expect(wrong == [])
    }

    @Test("pure modules import neither Foundation nor the C library")
    func pure() {
        let impure: Set<String> = ["Foundation", "FoundationEssentials", "Glibc", "Dispatch"]
        let wrong = Self.imports.filter {
            Self.pure.contains($0.module) && impure.contains($0.imported)
        }
        #expect(wrong.map { "\($0.place) imports \($0.imported)" } == [])
        for name in Self.pure {
            // Libraries of C that compute: checksums and compression.
            let allowed = Set(Self.pure + ["CXXHash", "CZstd", "CDeflate", "CZlib"])
            let imports = table[name]?.imports ?? []
            #expect(imports.isSubset(of: allowed), "\(name) is pure, so what it imports is")
        }
    }

    @Test("the engines do not know each other")
    func engines() {
        #expect(!reaches("Snapshot", "Replication"))
        #expect(!reaches("Replication", "Snapshot"))
    }

    @Test("verification, the judge, shares no code with what it judges")
    func judge() {
        for judged in ["Snapshot", "Replication", "Checkpoint", "Stream", "Worker"] {
            #expect(!reaches("Verification", judged), "Verification reaches \(judged)")
        }
    }

    /// Whether a module imports another one, itself or through others.
    private func reaches(_ from: String, _ to: String) -> Bool {
        guard let imports = table[from]?.imports else { return false }
        return imports.contains(to) || imports.contains { reaches($0, to) }
    }
}
