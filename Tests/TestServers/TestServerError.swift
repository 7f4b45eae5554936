import Glibc

/// Why a server for tests could not do what it was asked for.
public struct TestServerError: Error, CustomStringConvertible {
    /// What went wrong, with the server's own words where it has some.
    public let description: String

    init(_ description: String) { self.description = description }

    static func system(_ action: String, _ number: Int32) -> TestServerError {
        TestServerError("cannot \(action): \(String(cString: strerror(number)))")
    }
}
