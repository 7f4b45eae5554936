import Testing

@testable import Replication

@Suite("The table of keys")
struct KeyTableTests {
    private struct Known {
        var writer: UInt64 = 0
        var readers: Set<UInt64> = []
    }

    private static func readers(_ table: borrowing KeyTable, _ slot: Int) -> Set<UInt64> {
        var out: Set<UInt64> = []
        table.forEachReader(slot) { out.insert($0) }
        return out
    }

    @Test("it knows what a dictionary knows, also after it was rebuilt", arguments: 1...8)
    func model(seed: Int) {
        var random = SplitMix(UInt64(seed))
        var table = KeyTable(capacity: 64)
        var model: [UInt64: Known] = [:]
        var newest: UInt64 = 1
        for step in 0..<4000 {
            if table.isCrowded(adding: 1) || random.oneIn(500) {
                let limit = newest > 60 ? newest - 60 : 0
                let isLive: (UInt64) -> Bool = { $0 > limit && $0 % 7 != 0 }
                table.rebuild(reserving: 1, isLive: isLive)
                for (key, known) in model {
                    let writer = isLive(known.writer) ? known.writer : 0
                    model[key] = Known(writer: writer, readers: known.readers.filter(isLive))
                }
            }
            newest += random.oneIn(3) ? 1 : 0
            // Keys whose hashes lie near each other, and spread ones.
            let key = random.oneIn(2) ? UInt64(random.below(40)) << 1 : random.next() & ~1
            let expected = model[key] ?? Known()
            let slot = table.slot(key)
            if key > 2 {
                let writer = table.writer(slot)
                let readers = Self.readers(table, slot)
                #expect(writer == expected.writer, "step \(step)")
                #expect(readers == expected.readers, "step \(step)")
            }
            if random.oneIn(3) {
                table.setWriter(slot, newest)
                model[key] = Known(writer: newest)
            } else {
                table.addReader(slot, newest)
                var known = expected
                known.readers.insert(newest)
                model[key] = known
            }
        }
    }

    @Test("keys of committed batches are forgotten, and memory does not grow")
    func forgets() {
        var table = KeyTable()
        for round in 0..<40 {
            for i in 0..<4000 {
                if table.isCrowded(adding: 1) { table.rebuild(reserving: 1) { _ in false } }
                let slot = table.slot(UInt64(round * 4000 + i + 2) << 1)
                let writer = table.writer(slot)
                #expect(writer == 0)
                table.setWriter(slot, 1)
                table.addReader(slot, 2)
            }
        }
        table.rebuild(reserving: 1) { _ in false }
        let isCrowded = table.isCrowded(adding: 4000)
        #expect(!isCrowded)
    }
}
