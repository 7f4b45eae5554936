import Glibc
import Synchronization

/// The one thread that starts children: it lives as long as the process.
final class SpawnThread: Sendable {
    static let shared = SpawnThread()

    /// A request to start a program, and the place for its answer.
    private final class Request: Sendable {
        let arguments: [String]
        /// Standard input, output and error of the program.
        let streams: [Int32]
        let answer = Mutex<Result<pid_t, TestServerError>?>(nil)
        let answered = Signal()

        init(_ arguments: [String], streams: [Int32]) {
            self.arguments = arguments
            self.streams = streams
        }
    }

    private let requests = Mutex<[Request]>([])
    private let requested = Signal()

    private init() {
        var thread = pthread_t()
        // The thread keeps the object, and it never ends.
        let own = Unmanaged.passRetained(self).toOpaque()
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let own = Unmanaged<SpawnThread>.fromOpaque(argument).takeUnretainedValue()
                while true { own.serveOne() }
            }, own)
        pthread_detach(thread)
    }

    /// Starts a program with the given standard streams and no other file descriptor of ours.
    func spawn(_ arguments: [String], input: Int32, output: Int32, errors: Int32) throws -> pid_t {
        let request = Request(arguments, streams: [input, output, errors])
        requests.withLock { $0.append(request) }
        requested.send()
        request.answered.wait()
        return try request.answer.withLock { $0 ?? .failure(.system("spawn", EAGAIN)) }.get()
    }

    private func serveOne() {
        requested.wait()
        let request = requests.withLock { $0.removeFirst() }
        let answer = Self.start(request.arguments, streams: request.streams)
        request.answer.withLock { $0 = answer }
        request.answered.send()
    }

    private typealias CloseFrom =
        @convention(c) (
            UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32
        ) -> Int32

    /// `posix_spawn_file_actions_addclosefrom_np`, which glibc has since 2.34 and its Swift module
    /// does not show.
    private static let closeFrom: CloseFrom = {
        guard let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else {
            preconditionFailure("glibc 2.34 or newer is needed")
        }
        return unsafeBitCast(symbol, to: CloseFrom.self)
    }()

    private static func start(
        _ arguments: [String], streams: [Int32]
    ) -> Result<pid_t, TestServerError> {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        for (number, stream) in streams.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, stream, Int32(number))
        }
        // A server that inherited a connection of ours would keep it open after we closed it.
        _ = closeFrom(&actions, 3)
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        let newSession: Int32 = 0x80  // POSIX_SPAWN_SETSID
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | newSession))

        var pid: pid_t = 0
        var strings: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        strings.append(nil)
        defer { for string in strings { free(string) } }
        let status = posix_spawnp(&pid, arguments[0], &actions, &attributes, strings, environ)
        return status == 0 ? .success(pid) : .failure(.system("start \(arguments[0])", status))
    }
}

/// Wakes a thread that waits: a pipe, since the thread may also wait for sockets.
final class Signal: Sendable {
    /// Readable when a signal was sent that nobody took.
    let readable: Int32
    private let writable: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        _ = pipe(&ends)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        readable = ends[0]
        writable = ends[1]
    }

    deinit {
        close(readable)
        close(writable)
    }

    func send() {
        var byte: UInt8 = 0
        _ = write(writable, &byte, 1)
    }

    /// Waits for one signal and takes it.
    func wait() {
        var byte: UInt8 = 0
        while read(readable, &byte, 1) == -1, errno == EINTR {}
    }
}
