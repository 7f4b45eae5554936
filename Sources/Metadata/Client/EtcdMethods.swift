internal import GRPCCore
internal import SwiftProtobuf

/// One method of etcd's API with the types of its messages.
struct EtcdMethod<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>: Sendable {
    let descriptor: MethodDescriptor
    /// Whether a second execution does no harm, nor a late one.
    let isRepeatable: Bool

    init(_ service: String, _ method: String, isRepeatable: Bool = false) {
        descriptor = MethodDescriptor(
            fullyQualifiedService: "etcdserverpb." + service, method: method)
        self.isRepeatable = isRepeatable
    }
}

/// The methods that are used.
enum EtcdMethods {
    static let range = EtcdMethod<EtcdRangeRequest, EtcdRangeResponse>(
        "KV", "Range", isRepeatable: true)
    static let transaction = EtcdMethod<EtcdTxnRequest, EtcdTxnResponse>("KV", "Txn")
    static let compact = EtcdMethod<EtcdCompactionRequest, EtcdCompactionResponse>(
        "KV", "Compact", isRepeatable: true)

    static let watch = EtcdMethod<EtcdWatchRequest, EtcdWatchResponse>(
        "Watch", "Watch", isRepeatable: true)

    /// Repeatable, as the client chooses the number of the lease.
    static let grant = EtcdMethod<EtcdLeaseGrantRequest, EtcdLeaseGrantResponse>(
        "Lease", "LeaseGrant", isRepeatable: true)
    static let revoke = EtcdMethod<EtcdLeaseRevokeRequest, EtcdLeaseRevokeResponse>(
        "Lease", "LeaseRevoke", isRepeatable: true)
    /// A stream, of which each call uses one request and one response: so every renewal has a
    /// deadline and fails over like any other call.
    static let renew = EtcdMethod<EtcdLeaseKeepAliveRequest, EtcdLeaseKeepAliveResponse>(
        "Lease", "LeaseKeepAlive", isRepeatable: true)
    static let timeToLive = EtcdMethod<EtcdLeaseTimeToLiveRequest, EtcdLeaseTimeToLiveResponse>(
        "Lease", "LeaseTimeToLive", isRepeatable: true)

    static let members = EtcdMethod<EtcdMemberListRequest, EtcdMemberListResponse>(
        "Cluster", "MemberList", isRepeatable: true)
    static let addMember = EtcdMethod<EtcdMemberAddRequest, EtcdMemberAddResponse>(
        "Cluster", "MemberAdd")
    static let removeMember = EtcdMethod<EtcdMemberRemoveRequest, EtcdMemberRemoveResponse>(
        "Cluster", "MemberRemove")
    static let updateMember = EtcdMethod<EtcdMemberUpdateRequest, EtcdMemberUpdateResponse>(
        "Cluster", "MemberUpdate")
    static let promoteMember = EtcdMethod<EtcdMemberPromoteRequest, EtcdMemberPromoteResponse>(
        "Cluster", "MemberPromote")

    static let status = EtcdMethod<EtcdStatusRequest, EtcdStatusResponse>(
        "Maintenance", "Status", isRepeatable: true)
    static let defragment = EtcdMethod<EtcdDefragmentRequest, EtcdDefragmentResponse>(
        "Maintenance", "Defragment", isRepeatable: true)
    static let alarm = EtcdMethod<EtcdAlarmRequest, EtcdAlarmResponse>(
        "Maintenance", "Alarm", isRepeatable: true)
}
