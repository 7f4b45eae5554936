// The blocks `mydumpers`, `loaders`, `syncers` and `validators`, in DM's words and with DM's
// defaults, in DM's order of units. A copy has no units of its own for the first two: rows go from
// connection to connection without files between. Tasks that dump or load have files.

private let noFiles = "rows go from the source to the target without files between"

/// How existing rows are read: an entry of `mydumpers`.
public struct DumpSettings: NamedSettingsBlock {
    /// The entry's name.
    public var name = ""
    /// `mydumper-path`.
    public var program = "./bin/mydumper"
    /// `threads`: connections that read.
    public var threads = 4
    /// `chunk-filesize`, in bytes.
    public var fileBytes = 64 << 20
    /// `statement-size`, in bytes; 0 chooses.
    public var statementBytes = 0
    /// `rows` of a chunk; 0 chooses.
    public var rows = 0
    /// `where`: a condition of the rows to read.
    public var condition = ""
    /// `skip-tz-utc`.
    public var skipsTimeZone = true
    /// `extra-args`.
    public var extraArguments = ""

    /// As DM has it when nothing is said.
    public init() {}

    static let keys: [SettingsKey<Self>] = [
        .text("mydumper-path", \.program).unused(noFiles),
        .number("threads", \.threads, 1...1024),
        .parsed(
            "chunk-filesize", \.fileBytes, "a number of MiB, or a size such as 64MiB",
            { text in
                if let number = Int(text) {
                    return (0...(1 << 40)).contains(number) ? number << 20 : nil
                }
                return ByteSize(text)?.bytes
            }, { .text($0 % 1024 == 0 ? ByteSize(bytes: $0).description : "\($0)B") }
        ).unused(noFiles, butIn: .dump),
        .size("statement-size", \.statementBytes, 0...(1 << 40)).unused(noFiles, butIn: .dump),
        .number("rows", \.rows, 0...Limits.chunkRows.upperBound),
        .text("where", \.condition),
        .flag("skip-tz-utc", \.skipsTimeZone)
            .unused("values of TIMESTAMP are read and written in UTC on both sides"),
        .text("extra-args", \.extraArguments),
    ]

    func check(_ map: SettingsMapping) throws(SettingsError) {
        do throws(SettingsError) {
            _ = try DumpArguments(extraArguments)
        } catch {
            throw map.error("extra-args", error.message)
        }
    }
}

/// How existing rows are written: an entry of `loaders`.
public struct LoadSettings: NamedSettingsBlock {
    /// `import-mode`.
    public enum Mode: String, Sendable, CaseIterable {
        case logical, physical
        case importInto = "import-into"
        case sql, loader
    }
    /// `on-duplicate-logical`: what becomes of a row whose key the target has.
    public enum Duplicates: String, Sendable, CaseIterable {
        case replace, error, ignore
    }
    /// `on-duplicate-physical`.
    public enum PhysicalDuplicates: String, Sendable, CaseIterable {
        case none, manual
    }
    /// `checksum-physical`, `analyze`.
    public enum Need: String, Sendable, CaseIterable {
        case required, optional, off
    }
    /// The entry's name.
    public var name = ""
    /// `pool-size`: connections that write.
    public var connections = 16
    /// `dir`.
    public var folder = "./dumped_data"
    /// `sorting-dir-physical`.
    public var sortingFolder = ""
    /// `import-mode`.
    public var mode = Mode.logical
    /// `on-duplicate`.
    public var oldDuplicates = ""
    /// `on-duplicate-logical`; not as in DM, whose rows replace others where nothing is said.
    public var duplicates = Duplicates.error
    /// `on-duplicate-physical`.
    public var physicalDuplicates = PhysicalDuplicates.none
    /// `disk-quota-physical`, in bytes.
    public var diskQuotaBytes = 0
    /// `checksum-physical`.
    public var checksum = Need.required
    /// `analyze`.
    public var analyze = Need.optional
    /// `range-concurrency`.
    public var ranges = 0
    /// `compress-kv-pairs`.
    public var compression = ""
    /// `pd-addr`.
    public var placementDriver = ""

    /// As DM has it when nothing is said.
    public init() {}

    private static let physical =
        "it belongs to the import modes of TiDB, which Skein does not have"

    static let keys: [SettingsKey<Self>] = [
        .number("pool-size", \.connections, 1...65536)
            .unused(
                "each connection that reads has one that writes: mydumpers.*.threads", butIn: .load),
        .text("dir", \.folder).unused(noFiles, butIn: .dump, .load),
        .text("sorting-dir-physical", \.sortingFolder).unused(physical),
        .word("import-mode", \.mode),
        .text("on-duplicate", \.oldDuplicates).unused("DM has replaced it too"),
        .word("on-duplicate-logical", \.duplicates),
        .word("on-duplicate-physical", \.physicalDuplicates).unused(physical),
        .size("disk-quota-physical", \.diskQuotaBytes, 0...(1 << 60)).unused(physical),
        .word("checksum-physical", \.checksum).unused(physical),
        .word("analyze", \.analyze).unused(physical),
        .number("range-concurrency", \.ranges, 0...65536).unused(physical),
        .text("compress-kv-pairs", \.compression).unused(physical),
        .text("pd-addr", \.placementDriver).unused(physical),
    ]
}

/// How changes are applied: an entry of `syncers`.
public struct SyncSettings: NamedSettingsBlock {
    /// The entry's name.
    public var name = ""
    /// `meta-file`.
    public var metaFile = ""
    /// `worker-count`: lanes.
    public var lanes = 16
    /// `batch`.
    public var batch = 100
    /// `queue-size`.
    public var queue = 1024
    /// `checkpoint-flush-interval`.
    public var flushInterval = TimeSpan(seconds: 30)
    /// `compact`.
    public var mergesChanges = false
    /// `multiple-rows`.
    public var joinsRows = false
    /// `max-retry`.
    public var retries = 0
    /// `auto-fix-gtid`.
    public var fixesGTIDs = false
    /// `enable-gtid`.
    public var usesGTIDs: Bool?
    /// `disable-detect`.
    public var disablesDetection = false
    /// `enable-ansi-quotes`.
    public var ansiQuotes = false
    /// `safe-mode`: convergent statements all the time.
    public var isConvergent = false
    /// `safe-mode-duration`.
    public var safeModeDuration = TimeSpan(seconds: 60)

    /// As DM has it when nothing is said.
    public init() {}

    private static let exact = "the checkpoint is written in the transactions that it counts"
    private static let joined =
        "changes of a row are merged, and rows joined, wherever that is exact"

    static let keys: [SettingsKey<Self>] = [
        .text("meta-file", \.metaFile).unused("DM has dropped it too"),
        .number("worker-count", \.lanes, 1...65536),
        .number("batch", \.batch, 1...1_000_000)
            .unused("transactions are never split, and joined by size"),
        .number("queue-size", \.queue, 0...1_000_000_000)
            .unused("what is in flight is bounded in bytes: \"memory\""),
        .time("checkpoint-flush-interval", \.flushInterval).unused(exact),
        .flag("compact", \.mergesChanges).unused(joined),
        .flag("multiple-rows", \.joinsRows).unused(joined),
        .number("max-retry", \.retries, 0...1_000_000_000)
            .unused("what may pass is tried again for as long as it takes"),
        .flag("auto-fix-gtid", \.fixesGTIDs).unused("DM has dropped it too"),
        .flag("enable-gtid", \.usesGTIDs)
            .unused("GTIDs are used wherever the source has them"),
        .flag("disable-detect", \.disablesDetection).unused("DM has dropped it too"),
        .flag("enable-ansi-quotes", \.ansiQuotes)
            .unused("each statement says by itself how it quotes"),
        .flag("safe-mode", \.isConvergent),
        .time("safe-mode-duration", \.safeModeDuration)
            .unused("there is no window of doubt after a start: \(exact)"),
    ]

    func check(_ map: SettingsMapping) throws(SettingsError) {
        if isConvergent, safeModeDuration == TimeSpan(seconds: 0) {
            throw map.error("safe-mode-duration", "of 0 contradicts \"safe-mode: true\"")
        }
    }
}

/// How rows are compared while changes are applied: an entry of `validators`.
public struct ValidationSettings: NamedSettingsBlock {
    /// `mode`.
    public enum Mode: String, Sendable, CaseIterable {
        case none, fast, full
    }
    /// The entry's name.
    public var name = ""
    /// `mode`.
    public var mode = Mode.none
    /// `worker-count`.
    public var workers = 4
    /// `validate-interval`.
    public var validateInterval = TimeSpan(seconds: 10)
    /// `check-interval`.
    public var checkInterval = TimeSpan(seconds: 5)
    /// `row-error-delay`.
    public var rowErrorDelay = TimeSpan(seconds: 1800)
    /// `meta-flush-interval`.
    public var flushInterval = TimeSpan(seconds: 300)
    /// `batch-query-size`.
    public var batch = 100
    /// `max-pending-row-size`, in bytes.
    public var pendingBytes = 500 << 20
    /// `max-pending-row-count`.
    public var pendingRows = Int(Int32.max)

    /// As DM has it when nothing is said.
    public init() {}

    static let keys: [SettingsKey<Self>] = [
        .word("mode", \.mode),
        .number("worker-count", \.workers, 1...1024),
        .time("validate-interval", \.validateInterval),
        .time("check-interval", \.checkInterval)
            .unused("rows that differ are looked at again with every \"validate-interval\""),
        .time("row-error-delay", \.rowErrorDelay),
        .time("meta-flush-interval", \.flushInterval),
        .number("batch-query-size", \.batch, 1...1_000_000),
        SettingsKey.size("max-pending-row-size", \.pendingBytes, 0...(1 << 50))
            .unused("rows that differ are counted: of each no more than its key is held"),
        .number("max-pending-row-count", \.pendingRows, 0...Int(Int32.max)),
    ]
}
