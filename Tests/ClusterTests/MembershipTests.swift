import Cluster
import Glibc
import Metadata
import Testing

@Suite("Workers, their leader and bindings", .serialized, .enabled(if: TestCluster.isAvailable))
struct MembershipTests {
    @Test("sources are spread, move when a worker leaves, and every binding has a new epoch")
    func leaves() async throws {
        try await TestCluster.with { cluster in
            let workers = try ["w1", "w2", "w3"].map { try TestWorker($0, cluster.endpoint) }
            let running = workers.map { worker in Task { try await worker.run() } }
            defer { for it in running { it.cancel() } }
            try await cluster.eventually { try await cluster.state().sessions.count == 3 }
            for source in ["s1", "s2", "s3"] { try await cluster.addSource(source) }
            try await cluster.eventually {
                Set(try await cluster.bindings().values.compactMap { $0.worker }).count == 3
            }
            let before = try await cluster.bindings()

            // The one that leads leaves.
            let leader = try #require(try await cluster.leader())
            let index = try #require(workers.firstIndex { $0.name == leader })
            running[index].cancel()
            await #expect(throws: CancellationError.self) { try await running[index].value }
            try await cluster.eventually {
                let state = try await cluster.state()
                return state.sessions.count == 2
                    && state.bindings.values.allSatisfy { $0.record.worker != leader }
            }
            let after = try await cluster.bindings()
            for (source, binding) in after {
                let old = try #require(before[source])
                if binding.worker == old.worker {
                    #expect(binding == old, "moved without a reason")
                } else {
                    #expect(old.worker == leader && binding.epoch > old.epoch)
                }
            }
            #expect(try await cluster.leader() != leader)
        }
    }

    @Test("a worker that is cut off loses its lease and the lead; what it still writes is refused")
    func cutOff() async throws {
        try await TestCluster.with { cluster in
            let first = try TestWorker("first", cluster.endpoint)
            let running = Task { try await first.run() }
            defer { running.cancel() }
            try await cluster.addSource("s")
            try await cluster.eventually { try await cluster.bindings()["s"]?.worker == "first" }
            let epoch = try #require(try await cluster.bindings()["s"]).epoch
            let key = try #require(try await cluster.client.leader(of: KeyLayout.leader))
            let old = Condition.createRevision(key.key, key.createRevision)

            let second = try TestWorker("second", cluster.endpoint)
            let other = Task { try await second.run() }
            defer { other.cancel() }
            try await cluster.eventually { try await cluster.state().sessions.count == 2 }
            try first.cutOff()
            try await cluster.eventually {
                let binding = try await cluster.bindings()["s"]
                return binding?.worker == "second" && (binding?.epoch ?? 0) > epoch
            }
            #expect(try await cluster.leader() == "second")
            let late = try await cluster.client.transaction(
                if: [old], then: [.put(KeyLayout.binding("s"), [])])
            #expect(!late.succeeded)

            // It comes back as a member, and nothing that runs is moved to it.
            try first.client.setEndpoints([cluster.endpoint])
            try await cluster.eventually { try await cluster.state().sessions.count == 2 }
            #expect(try await cluster.bindings()["s"]?.worker == "second")
        }
    }

    @Test("a worker that others know to be dead need not be waited for")
    func declaredDead() async throws {
        try await TestCluster.with { cluster in
            let worker = try TestWorker("dead", cluster.endpoint, leaseSeconds: 3600)
            let running = Task { try await worker.run() }
            try await cluster.eventually { try await cluster.state().sessions["dead"] != nil }
            let session = try #require(try await cluster.state().sessions["dead"])
            try worker.cutOff()
            try await Membership.declareDead(session, client: cluster.client)
            #expect(try await cluster.state().sessions.isEmpty)
            running.cancel()
            _ = await running.result
        }
    }

    @Test("a leader whose write has failed tries again soon, though nothing changes")
    func failedWrite() async throws {
        try await TestCluster.with { cluster in
            // It would look again by itself in an hour.
            let worker = try TestWorker(
                "w", cluster.endpoint, leaseSeconds: 30, settlingTime: .seconds(7200),
                failingWrites: 3)
            let running = Task { try await worker.run() }
            defer { running.cancel() }
            try await cluster.eventually { try await cluster.leader() == "w" }
            try await cluster.addSource("s")
            try await cluster.eventually { try await cluster.bindings()["s"]?.worker == "w" }
        }
    }

    @Test("a leader whose writes are refused keeps its session, and tries again")
    func refusedWrite() async throws {
        try await TestCluster.with { cluster in
            let worker = try TestWorker(
                "w", cluster.endpoint, leaseSeconds: 30, settlingTime: .seconds(7200),
                failingWrites: 1, failure: .noSpace)
            let running = Task { try await worker.run() }
            defer { running.cancel() }
            try await cluster.eventually { try await cluster.leader() == "w" }
            let session = try await cluster.state().sessions["w"]
            try await cluster.addSource("s")
            try await cluster.eventually { try await cluster.bindings()["s"]?.worker == "w" }
            #expect(try await cluster.state().sessions["w"] == session)
        }
    }

    @Test("a store that takes no writes still tells whose key it has")
    func fullStore() async throws {
        try await TestCluster.with(["--quota-backend-bytes=1048576"]) { cluster in
            let client = cluster.client
            let claimed = try await client.claim(KeyLayout.secretKey, [1])
            let filler = [UInt8](repeating: 7, count: 200_000)
            var refusal: MetadataError?
            do {
                for n in 0..<100 { try await client.put("filler/\(n)", filler) }
            } catch let error as MetadataError {
                refusal = error
            }
            #expect(claimed && refusal?.code == .noSpace)
            let isOurs = try await client.claim(KeyLayout.secretKey, [1])
            let isTheirs = try await client.claim(KeyLayout.secretKey, [2])
            #expect(isOurs && !isTheirs)
        }
    }

    @Test("a second worker with a name is refused; the same worker that comes back is not")
    func names() async throws {
        try await TestCluster.with { cluster in
            let first = try TestWorker("w", cluster.endpoint, identity: "a", leaseSeconds: 3600)
            let running = Task { try await first.run() }
            defer { running.cancel() }
            try await cluster.eventually { try await cluster.leader() == "w" }

            let impostor = try TestWorker("w", cluster.endpoint, identity: "b")
            await #expect(throws: ClusterError.nameInUse("w", by: "w:1")) {
                try await impostor.run()
            }
            // Its predecessor was killed just now; its lease would live for an hour.
            try first.cutOff()
            let again = try TestWorker("w", cluster.endpoint, identity: "a")
            let renewed = Task { try await again.run() }
            defer { renewed.cancel() }
            try await cluster.eventually {
                let lease = try await cluster.state().sessions["w"]?.lease
                return lease != nil && lease == again.membership.lease?.id
            }
            try await cluster.eventually {
                let key = try await cluster.client.leader(of: KeyLayout.leader)
                return key?.lease == again.membership.lease?.id
            }
        }
    }

    @Test("a worker that has lost its folder waits for its predecessor's end, at its own address")
    func lostFolder() async throws {
        try await TestCluster.with { cluster in
            let first = try TestWorker("w", cluster.endpoint, identity: "a")
            let running = Task { try await first.run() }
            defer { running.cancel() }
            try await cluster.eventually { try await cluster.state().sessions["w"] != nil }
            try first.cutOff()
            let again = try TestWorker("w", cluster.endpoint, identity: "b", leaseSeconds: 30)
            let renewed = Task { try await again.run() }
            defer { renewed.cancel() }
            try await cluster.eventually {
                try await cluster.state().sessions["w"]?.record.identity == "b"
            }
        }
    }

    @Test("of changes that are told at the same time none undoes another")
    func changesAtOnce() async throws {
        try await TestCluster.with { cluster in
            let worker = try TestWorker("w", cluster.endpoint)
            let running = Task { try await worker.run() }
            defer { running.cancel() }
            try await cluster.eventually { try await cluster.state().sessions["w"] != nil }
            for round in 0..<50 {
                let isDown = round % 2 == 0
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        try await worker.membership.update { $0.isMemberDown = isDown ? true : nil }
                    }
                    group.addTask {
                        try await worker.membership.update { $0.isLeaving = isDown }
                    }
                    try await group.waitForAll()
                }
                let told = try await cluster.state().sessions["w"]?.record
                #expect(told?.isLeaving == isDown && (told?.isMemberDown ?? false) == isDown)
            }
        }
    }

    @Test("drained workers are emptied; removed and disabled sources leave their epoch behind")
    func drains() async throws {
        try await TestCluster.with { cluster in
            let worker = try TestWorker("w1", cluster.endpoint)
            let other = try TestWorker("w2", cluster.endpoint)
            let running = [worker, other].map { worker in Task { try await worker.run() } }
            defer { for it in running { it.cancel() } }
            try await cluster.addSource("s", allowed: ["w1"])
            try await cluster.eventually { try await cluster.bindings()["s"]?.worker == "w1" }
            try await cluster.client.put(KeyLayout.drain("w1"), [])
            try await cluster.eventually { try await cluster.bindings()["s"]?.worker == nil }
            try await cluster.addSource("s")
            try await cluster.eventually { try await cluster.bindings()["s"]?.worker == "w2" }
            try await cluster.client.delete(.key(KeyLayout.drain("w1")))
            try await other.membership.update { $0.isLeaving = true }
            try await cluster.eventually { try await cluster.bindings()["s"]?.worker == "w1" }
            let epoch = try #require(try await cluster.bindings()["s"]).epoch
            try await cluster.addSource("s", enabled: false)
            try await cluster.eventually { try await cluster.bindings()["s"]?.worker == nil }
            try await cluster.client.delete(.key(KeyLayout.source("s")))
            try await cluster.addSource("s")
            try await cluster.eventually {
                let binding = try await cluster.bindings()["s"]
                return binding?.worker == "w1" && (binding?.epoch ?? 0) > epoch
            }
        }
    }

    @Test("the store's restart neither ends memberships nor moves sources")
    func storeRestarts() async throws {
        try await TestCluster.with { cluster in
            let workers = try ["w1", "w2"].map {
                try TestWorker($0, cluster.endpoint, leaseSeconds: 30)
            }
            let running = workers.map { worker in Task { try await worker.run() } }
            defer { for it in running { it.cancel() } }
            try await cluster.eventually { try await cluster.state().sessions.count == 2 }
            for source in ["s1", "s2"] { try await cluster.addSource(source) }
            try await cluster.eventually {
                Set(try await cluster.bindings().values.compactMap { $0.worker }).count == 2
            }
            let before = try await cluster.bindings()
            let leases = workers.map { $0.membership.lease?.id }
            let starts = cluster.store.starts
            if let pid = cluster.store.pid { kill(pid, SIGKILL) }
            try await cluster.eventually { cluster.store.starts > starts }
            // What is wanted meanwhile is done by the leader that went on.
            try await cluster.addSource("s3")
            try await cluster.eventually { try await cluster.bindings()["s3"]?.worker != nil }
            var after = try await cluster.bindings()
            after["s3"] = nil
            #expect(after == before)
            #expect(workers.map { $0.membership.lease?.id } == leases)
        }
    }

    @Test("a leader of long ago goes on when its watch is interrupted")
    func electedLongAgo() async throws {
        try await TestCluster.with { cluster in
            let worker = try TestWorker("w", cluster.endpoint, leaseSeconds: 60)
            let running = Task { try await worker.run() }
            defer { running.cancel() }
            try await cluster.addSource("s")
            try await cluster.eventually { try await cluster.bindings()["s"]?.worker == "w" }
            let lease = worker.membership.lease?.id
            let key = try await cluster.client.leader(of: KeyLayout.leader)
            let before = try await cluster.bindings()
            // An hour later nobody keeps what it was elected by.
            let newest = try await cluster.client.put("other", [])
            try await cluster.client.compact(before: newest)
            let starts = cluster.store.starts
            if let pid = cluster.store.pid { kill(pid, SIGKILL) }
            try await cluster.eventually { cluster.store.starts > starts }
            // The leader looks, and goes on.
            try await cluster.addSource("t")
            try await cluster.eventually { try await cluster.bindings()["t"]?.worker == "w" }
            try await Task.sleep(for: .seconds(2))
            #expect(try await cluster.client.leader(of: KeyLayout.leader) == key)
            #expect(lease != nil && worker.membership.lease?.id == lease)
            #expect(try await cluster.bindings()["s"] == before["s"])
            // It still learns of its end.
            try await cluster.client.delete(.key(try #require(key).key))
            try await cluster.eventually {
                let now = try await cluster.client.leader(of: KeyLayout.leader)
                return now != nil && now?.createRevision != key?.createRevision
            }
        }
    }

    @Test("a worker that comes back takes its key over: nobody sees it go")
    func takesOver() async throws {
        try await TestCluster.with { cluster in
            let first = try TestWorker("w", cluster.endpoint, leaseSeconds: 3600)
            let running = Task { try await first.run() }
            defer { running.cancel() }
            try await cluster.eventually { try await cluster.state().sessions["w"] != nil }
            let key = KeyLayout.session("w")
            let found = try #require(try await cluster.client.get(key))
            try first.cutOff()
            let again = try TestWorker("w", cluster.endpoint, leaseSeconds: 3600)
            let renewed = Task { try await again.run() }
            defer { renewed.cancel() }
            try await cluster.eventually { again.membership.lease != nil }
            let now = try #require(try await cluster.client.get(key))
            #expect(now.createRevision == found.createRevision && now.lease != found.lease)
            #expect(now.lease == again.membership.lease?.id)
            // What went with the old lease has gone, the candidacy above all.
            let old = try #require(found.lease)
            #expect(try await cluster.client.secondsLeft(of: old) == nil)
            try await cluster.eventually {
                let leader = try await cluster.client.leader(of: KeyLayout.leader)
                return leader?.lease == now.lease
            }
        }
    }

    @Test("a store that was away for longer than leases live moves nothing")
    func storeAway() async throws {
        // The store's supervisor leaves it alone.
        try await TestCluster.with(probeMisses: 1_000_000) { cluster in
            let workers = try ["w1", "w2"].map {
                try TestWorker($0, cluster.endpoint, returningTime: .seconds(3600))
            }
            let running = workers.map { worker in Task { try await worker.run() } }
            defer { for it in running { it.cancel() } }
            try await cluster.eventually { try await cluster.state().sessions.count == 2 }
            for source in ["s1", "s2"] { try await cluster.addSource(source) }
            try await cluster.eventually {
                Set(try await cluster.bindings().values.compactMap { $0.worker }).count == 2
            }
            let before = try await cluster.bindings()
            let leader = try await cluster.leader()
            let first = try #require(workers.first { $0.name == leader })
            let other = try #require(workers.first { $0.name != leader })
            let pid = try #require(cluster.store.pid)
            kill(pid, SIGSTOP)
            try await cluster.eventually { workers.allSatisfy { $0.membership.lease == nil } }
            // The one that led is back first, and leads; the other one's session has ended.
            try other.cutOff()
            kill(pid, SIGCONT)
            try await cluster.eventually {
                let state = try await cluster.state()
                return state.leader == first.name && state.sessions[other.name] == nil
            }
            // What is wanted is done meanwhile.
            try await cluster.addSource("s3")
            try await cluster.eventually {
                try await cluster.bindings()["s3"]?.worker == first.name
            }
            try other.client.setEndpoints([cluster.endpoint])
            try await cluster.eventually { try await cluster.state().sessions.count == 2 }
            try await cluster.addSource("s4")
            try await cluster.eventually {
                try await cluster.bindings()["s4"]?.worker == other.name
            }
            var after = try await cluster.bindings()
            after["s3"] = nil
            after["s4"] = nil
            #expect(after == before)
        }
    }

    @Test("a leader that comes back does not wait for the others for ever")
    func isNotBack() async throws {
        try await TestCluster.with { cluster in
            let first = try TestWorker("w1", cluster.endpoint, returningTime: .milliseconds(500))
            let running = Task { try await first.run() }
            defer { running.cancel() }
            try await cluster.eventually { try await cluster.leader() == "w1" }
            let other = try TestWorker("w2", cluster.endpoint)
            let ending = Task { try await other.run() }
            try await cluster.addSource("s", allowed: ["w2"])
            try await cluster.eventually { try await cluster.bindings()["s"]?.worker == "w2" }
            try await cluster.addSource("s")
            try first.cutOff()
            try await cluster.eventually { try await cluster.leader() == "w2" }
            try other.cutOff()
            try first.client.setEndpoints([cluster.endpoint])
            try await cluster.eventually { try await cluster.bindings()["s"]?.worker == "w1" }
            ending.cancel()
            _ = await ending.result
        }
    }

    @Test("many sources are bound in transactions that the store takes")
    func many() async throws {
        try await TestCluster.with { cluster in
            let worker = try TestWorker("w1", cluster.endpoint, leaseSeconds: 30)
            for n in 0..<150 { try await cluster.addSource("s\(n)") }
            let running = Task { try await worker.run() }
            defer { running.cancel() }
            try await cluster.eventually {
                try await cluster.bindings().count { $0.value.worker == "w1" } == 150
            }
            #expect(try await cluster.bindings().values.allSatisfy { $0.epoch == 1 })
        }
    }
}
