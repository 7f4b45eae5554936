// Settings that a task may get while it runs: they choose tables, or say how fast. Its workers end
// their runs in order and begin others. All else is another target, or means something else for rows
// that are there: somebody pauses the task for it.

extension TaskSettings {
    /// Whether a task that runs by other settings may go on by these.
    public func mayReplaceRunning(_ old: TaskSettings) -> Bool {
        guard name == old.name, sources == old.sources, target == old.target else { return false }
        return withoutRunningChanges == old.withoutRunningChanges
    }

    /// What may not differ.
    private var withoutRunningChanges: Content {
        switch content {
        case .short(var draft):
            (draft.tables, draft.exclude, draft.takeOver) = (nil, nil, nil)
            (draft.lanes, draft.readers, draft.memoryBudget) = (nil, nil, nil)
            (draft.chunkRows, draft.chunkBytes, draft.ignoredChecks) = (nil, nil, nil)
            return .short(draft)
        case .file(var file):
            file.lists = [:]
            for index in file.instances.indices {
                file.instances[index].listName = nil
                file.instances[index].syncThreads = nil
                file.instances[index].loadThreads = nil
                file.instances[index].dumpThreads = nil
            }
            (file.memoryBudget, file.chunkBytes, file.takeOver) = (nil, nil, nil)
            (file.ignoredItems, file.ignoredChecks) = ([], [])
            return .file(file)
        }
    }
}
