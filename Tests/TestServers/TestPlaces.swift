import Glibc

/// Places for servers that tests start themselves.
public enum TestPlaces {
    /// A new temporary folder, gone with the process; it belongs to the user that servers run as.
    public static func newFolder(_ name: String) throws -> String {
        try RunFolder.shared.newFolder(name)
    }

    /// A free TCP port on 127.0.0.1 that this process did not give away before.
    public static func freePort() -> Int { Int(FreePort.next()) }

    /// Makes a program of which a server is started as the user that servers run as. It ends with
    /// the thread that starts it.
    public static func unprivileged(_ program: String) throws -> String {
        guard geteuid() == 0 else { return program }
        let path = try RunFolder.shared.newFolder("program") + "/run"
        let text = """
            #!/bin/sh
            exec setpriv --reuid=mysql --regid=mysql --clear-groups --pdeathsig KILL -- \\
                \(program) "$@"

            """
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o755)
        guard file >= 0 else { throw TestServerError.system("make \(path)", errno) }
        defer { close(file) }
        var bytes = Array(text.utf8)
        guard write(file, &bytes, bytes.count) == bytes.count else {
            throw TestServerError.system("write \(path)", errno)
        }
        return path
    }

    /// Makes a folder that belongs to the user that servers run as, and that no other user reads.
    public static func makePrivateFolder(_ folder: String) throws {
        try RunFolder.makeFolder(folder)
        chmod(folder, 0o700)
    }
}
