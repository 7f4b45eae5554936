internal import Yams

/// A block of a task's or a source's file: its keys, each described once, for reading and for
/// writing alike.
protocol SettingsBlock: Sendable, Hashable {
    /// The block as it is when nothing is said.
    init()
    /// All its keys, in the order of the documentation.
    static var keys: [SettingsKey<Self>] { get }
    /// Looks for keys that contradict each other or are missing.
    func check(_ map: SettingsMapping) throws(SettingsError)
}

extension SettingsBlock {
    func check(_ map: SettingsMapping) throws(SettingsError) {}
}

/// A block that has a name of its own in the file: `routes.shop`.
protocol NamedSettingsBlock: SettingsBlock {
    /// The name.
    var name: String { get set }
}

/// What is written of a block.
enum SettingsForm: Sendable {
    /// What differs from the defaults: the store's records, requests.
    case changes
    /// Everything that has an effect, defaults filled in: for people.
    case effective
    /// The same, of a task that dumps or loads.
    case effectiveOfFiles(FileTransfer.Kind)
}

/// One key of a block.
struct SettingsKey<Block: Sendable>: Sendable {
    typealias Reader =
        @Sendable (SettingsMapping, _ name: String, inout Block) throws(SettingsError) -> Void
    typealias Writer = @Sendable (Block, SettingsForm) -> JSONValue?

    /// How it is spelled.
    let name: String
    /// How it was spelled in older files, which is accepted with a warning.
    var oldNames: [String] = []
    /// Why it has no effect here; a warning says it where the key is given.
    var remark: String?
    /// The tasks of files in which it has an effect all the same: then the whole file tells whether
    /// a warning is due.
    var fileTasks: [FileTransfer.Kind] = []
    /// Whether every text must have it, so that it is written although it has its usual value.
    var isRequired = false
    /// Whether no file may have it; the reader says why.
    var isRefused = false
    /// The keys of the blocks that stand under it, as paths: `[].source-id`, `.*.threads`.
    var innerPaths: [String] = []
    /// Puts what a file says into the block.
    let read: Reader
    /// Gives the value back, in words that ``read`` takes; `nil` leaves the key out.
    let write: Writer

    init(_ name: String, read: @escaping Reader, write: @escaping Writer) {
        self.name = name
        self.read = read
        self.write = write
    }

    /// The same, with the keys of blocks under it.
    func with(_ paths: [String], _ separator: String) -> Self {
        var key = self
        key.innerPaths = paths.map { separator + $0 }
        return key
    }

    /// The same, with an old spelling.
    func once(_ name: String) -> Self {
        var key = self
        key.oldNames.append(name)
        return key
    }

    /// The same, in every text.
    var required: Self {
        var key = self
        key.isRequired = true
        return key
    }

    /// The same, without effect, but in some tasks of files.
    func unused(_ why: String, butIn fileTasks: FileTransfer.Kind...) -> Self {
        var key = self
        key.remark = why
        key.fileTasks = fileTasks
        return key
    }

    /// A key that can't be used any more.
    static func refused(_ name: String, _ why: String) -> Self {
        var key = Self(
            name,
            read: { map, name, _ throws(SettingsError) in throw map.error(name, why) },
            write: { _, _ in nil })
        key.isRefused = true
        return key
    }
}

extension SettingsBlock {
    /// Every key that a file may have, those of blocks inside included: `syncers.*.batch`.
    static var keyPaths: [String] {
        keys.filter { !$0.isRefused }.flatMap { key in
            [key.name] + key.innerPaths.map { key.name + $0 }
        }
    }

    /// Reads a block.
    static func read(
        _ node: Node, _ reading: SettingsReading, path: String
    ) throws(SettingsError) -> Self {
        var block = Self()
        try block.fill(
            SettingsMapping(
                node, reading, path: path, known: keys.flatMap { [$0.name] + $0.oldNames }))
        return block
    }

    /// Reads a block's keys.
    mutating func fill(_ map: SettingsMapping) throws(SettingsError) {
        for key in Self.keys {
            let written = ([key.name] + key.oldNames).filter { map.has($0) }
            if written.count > 1 {
                throw map.error(written[1], "says the same as \"\(written[0])\": give one of them")
            }
            guard let name = written.first else { continue }
            if map.isNull(name), !key.isRefused {
                map.warn(name, "has no value, and counts as left out")
                continue
            }
            if name != key.name {
                map.warn(name, "is the old name of \"\(key.name)\"")
                map.reading.note(path: map.path + key.name, isWritten: map.path + name)
            }
            if let remark = key.remark, key.fileTasks.isEmpty {
                map.warn(name, "has no effect: \(remark)")
            }
            try key.read(map, name, &self)
        }
        try check(map)
    }

    /// The block as a file has it.
    func value(_ form: SettingsForm) -> JSONValue {
        var out: [String: JSONValue] = [:]
        let usual = Self()
        for key in Self.keys {
            guard let value = key.write(self, form) else { continue }
            switch form {
            case .changes: if !key.isRequired, value == key.write(usual, form) { continue }
            case .effective: if key.remark != nil || value.isEmpty { continue }
            case .effectiveOfFiles(let task):
                let isUnused = key.remark != nil && !key.fileTasks.contains(task)
                if isUnused || value.isEmpty { continue }
            }
            out[key.name] = value
        }
        return .object(out)
    }
}

// MARK: Kinds of values

extension SettingsKey {
    /// A key path that closures may keep.
    typealias Path<Value> = any WritableKeyPath<Block, Value> & Sendable

    /// A text that may be empty.
    static func text(_ name: String, _ path: Path<String>) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                block[keyPath: path] = try map.anyText(name) ?? ""
            }, write: { block, _ in .text(block[keyPath: path]) })
    }

    /// A text that is there or not; an empty one counts as left out, as in DM.
    static func text(_ name: String, _ path: Path<String?>) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                let text = try map.anyText(name) ?? ""
                block[keyPath: path] = text.isEmpty ? nil : text
            }, write: { block, _ in block[keyPath: path].map { .text($0) } })
    }

    /// A value that `parse` understands.
    static func parsed<Value: Sendable>(
        _ name: String, _ path: Path<Value>, _ wanted: String,
        _ parse: @escaping @Sendable (String) -> Value?,
        _ write: @escaping @Sendable (Value) -> JSONValue?
    ) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                guard let value = try map.parsed(name, wanted, parse) else { return }
                block[keyPath: path] = value
            }, write: { block, _ in write(block[keyPath: path]) })
    }

    /// `true` or `false`.
    static func flag(_ name: String, _ path: Path<Bool>) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                block[keyPath: path] = try map.flag(name) ?? block[keyPath: path]
            }, write: { block, _ in .flag(block[keyPath: path]) })
    }

    /// `true`, `false` or neither.
    static func flag(_ name: String, _ path: Path<Bool?>) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                block[keyPath: path] = try map.flag(name)
            }, write: { block, _ in block[keyPath: path].map { .flag($0) } })
    }

    /// A whole number.
    static func number<N: FixedWidthInteger & Sendable>(
        _ name: String, _ path: Path<N>, _ range: ClosedRange<N>
    ) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                block[keyPath: path] = try map.number(name, range) ?? block[keyPath: path]
            }, write: { block, _ in .integer(Int64(block[keyPath: path])) })
    }

    /// A whole number, or none.
    static func number<N: FixedWidthInteger & Sendable>(
        _ name: String, _ path: Path<N?>, _ range: ClosedRange<N>
    ) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                block[keyPath: path] = try map.number(name, range)
            }, write: { block, _ in block[keyPath: path].map { .integer(Int64($0)) } })
    }

    /// A number of bytes.
    static func size(_ name: String, _ path: Path<Int>, _ range: ClosedRange<Int>) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                block[keyPath: path] = try map.size(name, range) ?? block[keyPath: path]
            }, write: { block, _ in .text(ByteSize(bytes: block[keyPath: path]).description) })
    }

    /// A number of bytes, or none.
    static func size(_ name: String, _ path: Path<Int?>, _ range: ClosedRange<Int>) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                block[keyPath: path] = try map.size(name, range)
            },
            write: { block, _ in
                block[keyPath: path].map { .text(ByteSize(bytes: $0).description) }
            })
    }

    /// A time.
    static func time(_ name: String, _ path: Path<TimeSpan>) -> Self {
        parsed(name, path, "a time such as 30s or 1h30m", { TimeSpan($0) }) {
            .text($0.description)
        }
    }

    /// One word of a few.
    static func word<Value: RawRepresentable<String> & CaseIterable & Sendable>(
        _ name: String, _ path: Path<Value>
    ) -> Self {
        let words = Value.allCases.map { $0.rawValue.isEmpty ? "\"\"" : $0.rawValue }
        return Self(
            name,
            read: { map, name, block throws(SettingsError) in
                let text = try map.anyText(name) ?? ""
                guard let value = Value(rawValue: text.lowercased()) else {
                    throw map.error(
                        name,
                        "must be one of \(words.joined(separator: ", ")), not "
                            + map.shown(name))
                }
                block[keyPath: path] = value
            }, write: { block, _ in .text(block[keyPath: path].rawValue) })
    }

    /// Texts.
    static func texts(_ name: String, _ path: Path<[String]>, _ wanted: String) -> Self {
        list(name, path, wanted, { $0 }, { $0 })
    }

    /// Values that `parse` understands.
    static func list<Value: Sendable>(
        _ name: String, _ path: Path<[Value]>, _ wanted: String,
        _ parse: @escaping @Sendable (String) -> Value?,
        _ write: @escaping @Sendable (Value) -> String
    ) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                block[keyPath: path] = try map.list(name, wanted, parse) ?? []
            }, write: { block, _ in .list(block[keyPath: path].map { .text(write($0)) }) })
    }

    /// Any keys with texts.
    static func dictionary(_ name: String, _ path: Path<[String: String]>) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                guard let node = map.node(name) else { return }
                let inner = try SettingsMapping(
                    node, map.reading, path: "\(map.path)\(name).", known: nil)
                for key in inner.names {
                    block[keyPath: path][key] = try inner.anyText(key)
                }
            }, write: { block, _ in .object(block[keyPath: path].mapValues { .text($0) }) })
    }
}

// MARK: Blocks inside of blocks

extension SettingsKey {
    /// A block.
    static func block<Inner: SettingsBlock>(_ name: String, _ path: Path<Inner>) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                guard let node = map.node(name) else { return }
                block[keyPath: path] = try Inner.read(
                    node, map.reading, path: "\(map.path)\(name).")
            }, write: { block, form in block[keyPath: path].value(form) }
        ).with(Inner.keyPaths, ".")
    }

    /// A block that is there or not.
    static func block<Inner: SettingsBlock>(_ name: String, _ path: Path<Inner?>) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                guard let node = map.node(name) else { return }
                block[keyPath: path] = try Inner.read(
                    node, map.reading, path: "\(map.path)\(name).")
            }, write: { block, form in block[keyPath: path]?.value(form) }
        ).with(Inner.keyPaths, ".")
    }

    /// A list of blocks.
    static func blocks<Inner: SettingsBlock>(_ name: String, _ path: Path<[Inner]>) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                var out: [Inner] = []
                for node in try map.nodes(name) ?? [] {
                    let place = "\(map.path)\(name)[\(out.count)]"
                    map.reading.note(place: place, node)
                    out.append(try Inner.read(node, map.reading, path: place + "."))
                }
                block[keyPath: path] = out
            },
            write: { block, form in
                .list(block[keyPath: path].map { $0.value(form) })
            }
        ).with(Inner.keyPaths, "[].")
    }

    /// Blocks by name.
    static func named<Inner: NamedSettingsBlock>(
        _ name: String, _ path: Path<[String: Inner]>
    ) -> Self {
        Self(
            name,
            read: { map, name, block throws(SettingsError) in
                guard let node = map.node(name) else { return }
                let inner = try SettingsMapping(
                    node, map.reading, path: "\(map.path)\(name).", known: nil)
                for key in inner.names {
                    guard var node = inner.node(key) else { continue }
                    if inner.isNull(key) {
                        node = .mapping(Node.Mapping([], .implicit, .block, node.mark))
                    }
                    var value = try Inner.read(
                        node, map.reading, path: "\(map.path)\(name).\(key).")
                    value.name = key
                    block[keyPath: path][key] = value
                }
            },
            write: { block, form in
                .object(block[keyPath: path].mapValues { $0.value(form) })
            }
        ).with(Inner.keyPaths, ".*.")
    }
}

extension JSONValue {
    /// Whether it says nothing.
    fileprivate var isEmpty: Bool {
        switch self {
        case .text(let text): text.isEmpty
        case .list(let list): list.isEmpty
        case .object(let object): object.isEmpty
        default: false
        }
    }
}
