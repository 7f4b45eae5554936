import Foundation
import Glibc

@testable import TestServers

/// Machines with a network between them: network namespaces, joined by a bridge in one more. Packets
/// between any two of them can be lost, in one direction or in both.
///
/// All is gone with the processes that hold the namespaces, and these end with the test's process.
final class Network: Sendable {
    /// A process that does nothing but keep a namespace alive.
    private final class Holder: Sendable {
        let pid: pid_t
        init(_ command: [String]) throws {
            let null = open("/dev/null", O_RDWR | O_CLOEXEC)
            defer { close(null) }
            pid = try ChildProcess.spawn(
                command, as: .ourselves, input: null, output: null, errors: null)
        }
        deinit {
            kill(pid, SIGKILL)
            _ = ChildProcess.wait(for: pid)
        }
    }
    private let hub: Holder
    private let machines: [Holder]

    private static let unshare =
        geteuid() == 0 ? ["unshare", "-n"] : ["unshare", "-rn"]
    private static let sleep = ["sleep", "7200"]
    /// Nobody has it: what is sent there is lost on the bridge.
    private static let nowhere = "02:00:00:00:00:ff"

    /// Whether this machine lets us make namespaces and what joins them; if not, that is said loudly.
    static let isPermitted: Bool = {
        let tried = try? ChildProcess.run(
            unshare + [
                "sh", "-c",
                "ip link add name b type bridge && ip link add v type veth peer name w && "
                    + "ip link set v master b",
            ])
        if tried?.status == 0 { return true }
        let reason = tried?.errorText ?? "no 'unshare' or 'ip'"
        let text = """
            ************************************************************************
            *  CUT NETWORKS WERE NOT TESTED: no network namespaces on this machine *
            *  (they need iproute2, and CAP_SYS_ADMIN and CAP_NET_ADMIN).          *
            ************************************************************************
            \(reason)
            """
        FileHandle.standardError.write(Data(text.utf8))
        return false
    }()

    /// Makes machines, `10.9.0.1` and so on, which all reach each other.
    init(_ count: Int) throws {
        hub = try Holder(Self.unshare + Self.sleep)
        try Self.awaitNamespace(hub.pid)
        try Self.run(Self.inside(hub.pid), "ip link set lo up; ip link add hub type bridge")
        try Self.run(
            Self.inside(hub.pid), "ip addr add 10.9.0.254/24 dev hub && ip link set hub up")
        var machines: [Holder] = []
        for number in 0..<count {
            let machine = try Holder(Self.inside(hub.pid) + ["unshare", "-n"] + Self.sleep)
            try Self.awaitNamespace(machine.pid, not: hub.pid)
            try Self.run(
                Self.inside(hub.pid),
                "ip link add m\(number) type veth peer name net netns \(machine.pid) && "
                    + "ip link set m\(number) master hub up")
            try Self.run(
                Self.inside(machine.pid),
                "ip link set lo up && ip addr add \(Self.address(number))/24 dev net && "
                    + "ip link set net up")
            machines.append(machine)
        }
        self.machines = machines
    }

    /// A machine's address.
    static func address(_ machine: Int) -> String { "10.9.0.\(machine + 1)" }

    /// What runs a program on a machine; `nil`: beside them all, where every one is reached.
    func prefix(_ machine: Int?) -> [String] {
        Self.inside(machine.map { machines[$0].pid } ?? hub.pid)
    }

    /// Loses what one machine sends to another from now on, without a word to either.
    func lose(from sender: Int, to receiver: Int) throws {
        try Self.run(
            prefix(sender),
            "ip neigh replace \(Self.address(receiver)) lladdr \(Self.nowhere) dev net nud permanent"
        )
    }

    /// What cut a machine off, and how.
    enum Direction: String, CaseIterable, Sendable { case out, into, both }

    /// Cuts a machine off from the others.
    func cut(_ machine: Int, _ direction: Direction) throws {
        for other in machines.indices where other != machine {
            if direction != .into { try lose(from: machine, to: other) }
            if direction != .out { try lose(from: other, to: machine) }
        }
    }

    /// Ends all cuts.
    func heal() throws {
        for machine in machines.indices {
            try Self.run(prefix(machine), "ip neigh flush dev net nud permanent")
        }
    }

    // MARK: namespaces

    private static func inside(_ pid: pid_t) -> [String] {
        let user = geteuid() == 0 ? [] : ["-U", "--preserve-credentials"]
        return ["nsenter", "-t", "\(pid)"] + user + ["-n"]
    }

    private static func run(_ prefix: [String], _ script: String) throws {
        let outcome = try ChildProcess.run(prefix + ["sh", "-c", script])
        guard outcome.status == 0 else {
            throw TestServerError("\(script): \(outcome.errorText)")
        }
    }

    /// Returns when a holder has its own namespace.
    private static func awaitNamespace(_ pid: pid_t, not other: pid_t? = nil) throws {
        func name(_ process: String) -> String? {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/ns/net")
        }
        let old = [name("self"), other.flatMap { name("\($0)") }]
        for _ in 0..<1000 {
            if let now = name("\(pid)"), !old.contains(now) { return }
            usleep(10_000)
        }
        throw TestServerError("a namespace did not come")
    }
}
