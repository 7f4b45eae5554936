internal import Glibc
internal import Synchronization

/// One thread that runs jobs in order: serial executor and task executor in one.
///
/// Everything that blocks in C (a server connection) lives on such a thread, so that the
/// cooperative pool never blocks, and a task that prefers it never leaves it: a hop costs 0.2 µs
/// there, and 6 to 40 µs from the pool.
public final class ThreadExecutor: SerialExecutor, TaskExecutor, @unchecked Sendable {
    // SAFETY: `queue` and `stopping` are reached with `mutex` held; everything else is immutable
    // after init. `mutex` and `condition` are heap cells that live until deinit.

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var queue: [UnownedJob] = []
    private var stopping = false

    /// The thread's name as `top -H` shows it (at most 15 bytes are kept).
    public let name: String

    /// Starts the thread. It ends when the last reference is gone or ``stop()`` is called, and
    /// its queue is empty.
    public init(name: String) {
        self.name = name
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
        var thread = pthread_t()
        let created = pthread_create(
            &thread, nil,
            { argument in
                let me = Unmanaged<ThreadExecutor>.fromOpaque(argument!).takeRetainedValue()
                nameThisThread(me.name)
                me.loop()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        precondition(created == 0, "no thread could be started: errno \(created)")
        pthread_detach(thread)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    private func loop() {
        var batch: [UnownedJob] = []
        while true {
            pthread_mutex_lock(mutex)
            while queue.isEmpty && !stopping { pthread_cond_wait(condition, mutex) }
            if queue.isEmpty {
                pthread_mutex_unlock(mutex)
                return
            }
            swap(&queue, &batch)
            pthread_mutex_unlock(mutex)
            for job in batch {
                job.runSynchronously(
                    isolatedTo: asUnownedSerialExecutor(),
                    taskExecutor: asUnownedTaskExecutor())
            }
            batch.removeAll(keepingCapacity: true)
        }
    }

    /// Runs a job on the thread, after those already waiting.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        pthread_mutex_lock(mutex)
        queue.append(job)
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// The executor as the runtime refers to it.
    public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    /// Lets the thread end as soon as no job waits. Jobs that come later are run by nobody: call
    /// it only when every task that prefers this executor has ended.
    public func stop() {
        pthread_mutex_lock(mutex)
        stopping = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }
}

/// `pthread_setname_np` and `prctl` are hidden from Swift; the kernel's file does the same.
private func nameThisThread(_ name: String) {
    guard let file = fopen("/proc/thread-self/comm", "w") else { return }
    fputs(String(name.prefix(15)), file)
    fclose(file)
}

/// Runs `body` on a thread of its own for as long as it takes, and ends the thread.
///
/// - Throws: what `body` throws.
public func withThread<R: Sendable>(
    _ name: String, _ body: @Sendable @escaping () async throws -> R
) async throws -> R {
    let executor = ThreadExecutor(name: name)
    defer { executor.stop() }
    return try await withThrowingTaskGroup(of: R.self) { group in
        group.addTask(executorPreference: executor) { try await body() }
        return try await group.next()!
    }
}
