internal import Worker

extension ClusterState {
    /// The workers that are to keep a copy of each source's relay log, beside the one that runs it.
    ///
    /// A function of the state alone, so that all workers know it without being told: those that
    /// were named, and as many more as the source wants, of those that may run it. Who has the
    /// source's relay log already comes first; of the others, a number made of both names decides,
    /// so that copies are spread and stay where they are.
    func relayCopies() -> [String: Set<String>] {
        var copies: [String: Set<String>] = [:]
        let live = liveWorkers.filter { name in
            !drains.contains(name) && sessions[name]?.record.isLeaving != true
        }
        for (source, stored) in sources {
            let record = stored.record
            guard record.isEnabled, let bound = bindings[source]?.record.worker else { continue }
            let named = record.relayWorkers ?? []
            let wanted = (record.relayReplicas ?? 1) - 1
            guard !named.isEmpty || wanted > 0 else { continue }
            var chosen = named.intersection(live).subtracting([bound])
            if wanted > chosen.count {
                let holders = relays[source] ?? []
                let others = live.subtracting(chosen).subtracting([bound])
                    .filter { record.allowedWorkers?.contains($0) ?? true }
                    .map { (isHolder: holders.contains($0), rank: Self.rank(source, $0), name: $0) }
                    .sorted { left, right in
                        if left.isHolder != right.isHolder { return left.isHolder }
                        return (left.rank, left.name) < (right.rank, right.name)
                    }
                chosen.formUnion(others.prefix(wanted - chosen.count).map(\.name))
            }
            if !chosen.isEmpty { copies[source] = chosen }
        }
        return copies
    }

    /// A number that is the same everywhere (FNV-1a, 64 bits).
    private static func rank(_ source: String, _ worker: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in [source, "/", worker].joined().utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        return hash
    }
}
