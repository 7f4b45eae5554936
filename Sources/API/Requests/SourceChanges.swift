internal import Cluster
internal import Metadata
internal import MySQLClient
internal import Settings

// Changes of sources.

extension ClusterStore {
    func createSource(_ settings: SourceSettings) async throws {
        try Self.checkSupport(settings.unsupported)
        let key = KeyLayout.source(settings.name)
        let bytes = try record(settings).bytes()
        guard try await commit(if: [.missing(key)], [.put(key, bytes, lease: nil)]) else {
            throw APIProblem(
                .sourceExists, "there is a source '\(settings.name)' already",
                remedy: "update it, or take another name")
        }
    }

    /// Replaces a source's settings. Without a password the one that is there stays, and so does
    /// what other requests change, where the settings do not name it.
    ///
    /// - Parameter keys: those that the request's settings have.
    func updateSource(
        _ settings: SourceSettings, naming keys: Set<String>, seen: Revision?
    ) async throws {
        try Self.checkSupport(settings.unsupported)
        try await changeSource(settings.name, seen: seen) { old in
            var settings = settings.keeping(old, unless: keys)
            try keepPassword(
                of: old.server, in: &settings.server, "source '\(settings.name)'")
            return settings
        }
    }

    /// Lets a server keep the password that it had, when the request has none. One that is to be
    /// sent elsewhere, or less protected, has to be given again: who may change settings need not
    /// know it.
    func keepPassword(
        of old: ConnectionOptions, in server: inout ConnectionOptions, _ what: String
    ) throws(APIProblem) {
        guard server.password.isEmpty, !old.password.isEmpty else { return }
        guard server.server == old.server, server.user == old.user, server.tls == old.tls else {
            throw APIProblem(
                .passwordNeeded,
                "\(what) is another server, user or TLS setting now: its password is not taken over",
                remedy: "give the password, too")
        }
        server.password = old.password
    }

    /// Reads a source's settings, changes them, and writes them.
    func changeSource(
        _ name: String, seen: Revision? = nil, _ change: (SourceSettings) throws -> SourceSettings
    ) async throws {
        let key = KeyLayout.source(name)
        try await untilUnchanged("source '\(name)'") { () -> Void? in
            let value = try await source(name)
            try check(seen, is: value, "source '\(name)'")
            let bytes = try record(change(settings(value))).bytes()
            return try await commit(
                if: [.modRevision(key, value.modRevision)], [.put(key, bytes, lease: nil)])
                ? () : nil
        }
    }

    /// Lets a source have a worker, or takes it away. The settings stay as they are, to the byte:
    /// other ones would start its subtasks anew.
    func setSource(_ name: String, enabled isEnabled: Bool) async throws {
        try await untilUnchanged("source '\(name)'") { () -> Void? in
            let value = try await source(name)
            guard var record = decoded(SourceRecord.self, value) else { throw unreadable(value) }
            if record.isEnabled == isEnabled { return () }
            record.isEnabled = isEnabled
            return try await commit(
                if: [.modRevision(value.key, value.modRevision)],
                [.put(value.key, try record.bytes(), lease: nil)]) ? () : nil
        }
    }

    /// Lets a worker keep a copy of a source's relay log, or no more. The settings stay as they are,
    /// to the byte.
    func setRelayCopy(_ name: String, at worker: String, _ isWanted: Bool) async throws {
        if isWanted, try await value(KeyLayout.session(worker)) == nil {
            throw APIProblem.unknownWorker(worker)
        }
        try await untilUnchanged("source '\(name)'") { () -> Void? in
            let value = try await source(name)
            guard var record = decoded(SourceRecord.self, value) else { throw unreadable(value) }
            var workers = record.relayWorkers ?? []
            if isWanted {
                workers.insert(worker)
            } else if workers.remove(worker) == nil {
                throw APIProblem(
                    .unknownWorker,
                    "worker '\(worker)' was not told to keep a relay log of '\(name)'",
                    remedy: "`relay-replicas` of the source says how many workers do")
            }
            record.relayWorkers = workers.isEmpty ? nil : workers
            return try await commit(
                if: [.modRevision(value.key, value.modRevision)],
                [.put(value.key, try record.bytes(), lease: nil)]) ? () : nil
        }
    }

    /// Removes a source that no task uses.
    func removeSource(_ name: String) async throws {
        let key = KeyLayout.source(name)
        let use = KeyLayout.use(name)
        try await untilUnchanged("source '\(name)'") { () -> Void? in
            let value = try await source(name)
            // Before the tasks: one that is created from now on touches it.
            let used = try await self.value(use)
            let users = try await tasks(using: name)
            guard users.isEmpty else {
                throw APIProblem(
                    .sourceInUse,
                    "source '\(name)' is used by \(users.count == 1 ? "task" : "tasks") "
                        + users.map { "'\($0)'" }.joined(separator: ", "),
                    remedy: "remove it from the task, or remove the task, first")
            }
            return try await commit(
                if: [
                    .modRevision(key, value.modRevision),
                    used.map { .modRevision(use, $0.modRevision) } ?? .missing(use),
                ], [.delete(.key(key)), .delete(.key(use))]) ? () : nil
        }
    }

    /// Binds a source to another worker, with a new epoch.
    func transferSource(_ name: String, to worker: String) async throws {
        let key = KeyLayout.binding(name)
        try await untilUnchanged("source '\(name)'") { () -> Void? in
            let source = try await self.source(name)
            let session = try await self.value(KeyLayout.session(worker))
            guard let session else {
                throw APIProblem(
                    .unknownWorker, "there is no worker '\(worker)' that is alive",
                    remedy: "`skein worker list` names those that are")
            }
            guard let record = decoded(SourceRecord.self, source) else { throw unreadable(source) }
            let isDraining = try await self.value(KeyLayout.drain(worker)) != nil
            if isDraining || decoded(WorkerSession.self, session)?.isLeaving == true {
                throw APIProblem(.workerUnfit, "worker '\(worker)' is being emptied")
            }
            if let allowed = record.allowedWorkers, !allowed.contains(worker) {
                throw APIProblem(
                    .workerUnfit, "source '\(name)' may not run on worker '\(worker)'",
                    remedy: "add it to \"workers\" in the source's settings")
            }
            guard record.isEnabled else {
                throw APIProblem(
                    .workerUnfit, "source '\(name)' is disabled", remedy: "enable it first")
            }
            let old = try await self.value(key)
            let binding = try old.map { value in
                guard let it = decoded(Binding.self, value) else { throw unreadable(value) }
                return it
            }
            if binding?.worker == worker { return () }
            let (epoch, isOver) = (binding?.epoch ?? 0).addingReportingOverflow(1)
            // A damaged record must not end the worker.
            guard !isOver else { throw unreadable(old ?? source) }
            let bound = Binding(worker: worker, epoch: epoch)
            return try await commit(
                if: [
                    .modRevision(source.key, source.modRevision),
                    .createRevision(session.key, session.createRevision),
                    .missing(KeyLayout.drain(worker)),
                    old.map { .modRevision(key, $0.modRevision) } ?? .missing(key),
                ], [.put(key, try bound.bytes(), lease: nil)]) ? () : nil
        }
    }

    // MARK: Records

    /// A source's record; one that is not there is the caller's mistake.
    func source(_ name: String) async throws -> KeyValue {
        guard let value = try await value(KeyLayout.source(name)) else {
            throw APIProblem.unknownSource(name)
        }
        return value
    }

    /// A source's settings with the password, out of its record.
    func settings(_ value: KeyValue) throws -> SourceSettings {
        guard let record = decoded(SourceRecord.self, value) else { throw unreadable(value) }
        var settings = try SourceSettings(stored: record.settings, secrets, key: value.key)
        settings.allowedWorkers = record.allowedWorkers
        settings.relayReplicas = record.relayReplicas ?? 1
        settings.relayWorkers = record.relayWorkers ?? []
        settings.isEnabled = record.isEnabled
        return settings
    }

    func record(_ settings: SourceSettings) throws(SettingsError) -> SourceRecord {
        var record = SourceRecord(
            settings: try settings.stored(secrets, key: KeyLayout.source(settings.name)),
            allowedWorkers: settings.allowedWorkers, isEnabled: settings.isEnabled)
        if settings.relayReplicas != 1 { record.relayReplicas = settings.relayReplicas }
        if !settings.relayWorkers.isEmpty { record.relayWorkers = settings.relayWorkers }
        return record
    }

    /// What a newer worker has written is not replaced by a guess.
    func unreadable(_ value: KeyValue) -> APIProblem {
        APIProblem(
            .unreadable,
            "the store's '\(value.key)' was written by a newer version of Skein, or is damaged",
            remedy: "send the request to a worker of that version")
    }
}

extension APIProblem {
    static func unknownSource(_ name: String) -> APIProblem {
        APIProblem(
            .unknownSource, "there is no source '\(name)'",
            remedy: "`skein source list` names those that there are")
    }

    static func unknownTask(_ name: String) -> APIProblem {
        APIProblem(
            .unknownTask, "there is no task '\(name)'",
            remedy: "`skein task list` names those that there are")
    }
}
