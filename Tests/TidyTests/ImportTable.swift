/// What `Package.swift` says that a module may import.
struct ImportTable {
    struct Module {
        let name: String
        /// Own modules and products of packages, by the name that `import` takes.
        let imports: Set<String>
        /// Whether it is a target of tests.
        let isTests: Bool
    }

    /// In the order of the file: from the bottom up.
    let modules: [Module]

    subscript(_ name: String) -> Module? { modules.first { $0.name == name } }

    /// Reads the calls that declare targets: their first string is the name, the strings of the
    /// first list after it are the imports, and a product counts by its own name.
    init(manifest: String) {
        let declaration =
            /(?:\bmodule|\btests|\.executableTarget|\.target|\.systemLibrary)\(\s*(?:name:\s*)?"(?<name>\w+)"/
        let text = manifest.replacing(/\/\/[^\n]*/, with: "")
        modules = text.matches(of: declaration).map { match in
            let call = Self.call(text[match.range.lowerBound...])
            let isLibrary = call.hasPrefix(".systemLibrary")
            return Module(
                name: String(match.name), imports: isLibrary ? [] : Self.imports(call),
                isTests: call.hasPrefix("tests"))
        }
    }

    /// The call at the head of the text, to its closing parenthesis.
    private static func call(_ text: Substring) -> Substring {
        var depth = 0
        for place in text.indices {
            if text[place] == "(" { depth += 1 }
            if text[place] == ")" {
                depth -= 1
                if depth == 0 { return text[...place] }
            }
        }
        return text
    }

    private static func imports(_ call: Substring) -> Set<String> {
        // The first list is the one of dependencies; products in it have no lists of their own.
        guard let open = call.firstIndex(of: "["), let close = call.firstIndex(of: "]") else {
            return []
        }
        let list = call[open..<close].replacing(/package: "[^"]*"/, with: "")
        return Set(list.matches(of: /"(\w+)"/).map { String($0.1) })
    }
}
