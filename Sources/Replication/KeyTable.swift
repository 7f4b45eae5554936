/// From key to the batches that used it: open addressing, no deletion; entries of committed
/// batches count as absent, and are left out when the table is rebuilt.
@safe
struct KeyTable: ~Copyable {
    struct Entry {
        var key: UInt64 = 0
        /// The newest batch that wrote the key; 0 for none.
        var writer: UInt64 = 0
        /// Batches that read it since: index + 1 into ``readers``; 0 for none.
        var firstReader: Int32 = 0
    }

    private struct Reader {
        var batch: UInt64
        var next: Int32
    }

    private var entries: [Entry]
    private var mask: Int
    private var used = 0
    private var readers: [Reader] = []

    init(capacity: Int = 1 << 14) {
        entries = [Entry](repeating: Entry(), count: capacity)
        mask = capacity - 1
    }

    /// Index of a key's entry, made if absent.
    @inline(__always)
    mutating func slot(_ key: UInt64) -> Int {
        let key = key == 0 ? 2 : key
        var x = key &* 0x9E37_79B9_7F4A_7C15
        x ^= x >> 29
        var i = Int(truncatingIfNeeded: x) & mask
        while true {
            let found = entries[i].key
            if found == key { return i }
            if found == 0 {
                entries[i].key = key
                used += 1
                return i
            }
            i = (i + 1) & mask
        }
    }

    @inline(__always)
    func writer(_ slot: Int) -> UInt64 { entries[slot].writer }

    /// Calls `body` with every reader since the last writer.
    func forEachReader(_ slot: Int, _ body: (UInt64) -> Void) {
        var i = entries[slot].firstReader
        while i > 0 {
            body(readers[Int(i) - 1].batch)
            i = readers[Int(i) - 1].next
        }
    }

    /// The batch writes the key: earlier readers are forgotten, it depends on them.
    mutating func setWriter(_ slot: Int, _ batch: UInt64) {
        entries[slot].writer = batch
        entries[slot].firstReader = 0
    }

    /// The batch reads the key.
    mutating func addReader(_ slot: Int, _ batch: UInt64) {
        let first = entries[slot].firstReader
        if first > 0, readers[Int(first) - 1].batch == batch { return }
        readers.append(Reader(batch: batch, next: first))
        entries[slot].firstReader = Int32(readers.count)
    }

    /// Whether keys should be forgotten before more are added.
    func isCrowded(adding count: Int) -> Bool {
        (used + count) * 2 > mask || readers.count > 1 << 20
    }

    /// Forgets keys that no live batch uses; grows when too many are left.
    mutating func rebuild(reserving count: Int, isLive: (UInt64) -> Bool) {
        let old = entries
        let oldReaders = readers
        var live: [(UInt64, UInt64, [UInt64])] = []
        for entry in old where entry.key != 0 {
            let writer = entry.writer != 0 && isLive(entry.writer) ? entry.writer : 0
            var kept: [UInt64] = []
            var i = entry.firstReader
            while i > 0 {
                let reader = oldReaders[Int(i) - 1]
                if isLive(reader.batch) { kept.append(reader.batch) }
                i = reader.next
            }
            if writer != 0 || !kept.isEmpty { live.append((entry.key, writer, kept)) }
        }
        var capacity = 1 << 14
        while capacity < (live.count + count) * 4 { capacity *= 2 }
        entries = [Entry](repeating: Entry(), count: capacity)
        mask = capacity - 1
        used = 0
        readers = []
        for (key, writer, kept) in live {
            let s = slot(key)
            entries[s].writer = writer
            for batch in kept.reversed() { addReader(s, batch) }
        }
    }
}
