// swift-tools-version: 6.3
import PackageDescription

/// Settings of every target: Swift 6 mode, upcoming features on, warnings are errors.
let common: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
]

/// Pure modules and engines also mark every use of unsafe memory.
let strict: [SwiftSetting] = common + [.strictMemorySafety()]

/// A module, with what it may import. A test checks the sources against this table.
func module(_ name: String, _ imports: [Target.Dependency], _ settings: [SwiftSetting]) -> Target {
    .target(name: name, dependencies: imports, swiftSettings: settings)
}

/// The tests of one module.
func tests(_ name: String, _ imports: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(
        name: name, dependencies: imports, resources: resources, swiftSettings: common)
}

let package = Package(
    name: "skein",
    products: [.executable(name: "skein", targets: ["skein"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", exact: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", exact: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", exact: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0", traits: []),
        .package(url: "https://github.com/grpc/grpc-swift-2", exact: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", exact: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", exact: "2.4.1"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
        .package(
            url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CMariaDB", pkgConfig: "libmariadb", providers: [.apt(["libmariadb-dev"])]),
        .systemLibrary(name: "CMalloc"),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(
            name: "CDeflate", pkgConfig: "libdeflate", providers: [.apt(["libdeflate-dev"])]),
        .systemLibrary(
            name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        .target(name: "CSpawn"),

        // Pure: no I/O, no clock, no Foundation.
        module("MySQLCore", ["CXXHash"], strict),
        module("MySQLSyntax", ["MySQLCore"], strict),
        module("MySQLBinlog", ["MySQLCore", "CZstd", "CDeflate"], strict),
        module("Rules", ["MySQLCore", "MySQLSyntax", "MySQLBinlog"], strict),
        module("DumpFiles", ["MySQLCore", "MySQLSyntax", "CZlib", "CZstd"], strict),

        module("Runtime", ["CMalloc"], common),
        module("MySQLClient", ["MySQLCore", "CMariaDB"], common),
        module("Stream", ["MySQLCore", "MySQLBinlog", "MySQLClient", "Runtime"], strict),
        module(
            "Relay", ["MySQLCore", "MySQLBinlog", "MySQLClient", "Stream", "Runtime"], strict),
        module("Checkpoint", ["MySQLCore", "MySQLClient"], common),
        module(
            "Snapshot",
            [
                "MySQLCore", "MySQLSyntax", "DumpFiles", "Rules", "MySQLClient", "Checkpoint",
                "Runtime",
            ], strict),
        module(
            "Replication",
            [
                "MySQLCore", "MySQLSyntax", "MySQLBinlog", "Rules", "MySQLClient", "Stream",
                "Checkpoint", "Runtime",
            ], strict),
        module("Verification", ["MySQLCore", "MySQLClient", "Runtime"], common),
        module(
            "Settings",
            [
                "MySQLCore", "MySQLSyntax", "Rules", "MySQLClient",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Yams", package: "Yams"),
            ], common),
        // The modules that see gRPC and NIO, which are what makes builds slow: traffic between
        // workers, with the metadata store, and with users.
        module(
            "Peer",
            [
                "MySQLCore", "MySQLBinlog", "Stream", "Relay", "Runtime",
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ], common),
        module(
            "Metadata",
            [
                "CSpawn", "Runtime",
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ], common),
        module(
            "Worker",
            [
                "MySQLCore", "MySQLSyntax", "Rules", "MySQLClient", "Stream", "Checkpoint",
                "Snapshot", "Replication", "Relay", "Verification", "Settings", "Runtime",
                .product(name: "Logging", package: "swift-log"),
            ], common),
        module(
            "Cluster",
            [
                "Metadata", "Settings", "Worker", "Runtime",
                .product(name: "Logging", package: "swift-log"),
            ], strict),
        // The cluster's face: the HTTP API and its client.
        module(
            "API",
            [
                "MySQLCore", "MySQLClient", "Metadata", "Cluster", "Settings", "Worker", "Runtime",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ], common),
        module(
            "Commands",
            [
                "MySQLCore", "MySQLBinlog", "DumpFiles", "Rules", "MySQLClient", "Checkpoint",
                "Stream", "Snapshot", "Replication", "Relay", "Peer", "Settings", "Worker",
                "Verification",
                "Metadata", "Cluster", "API", "Runtime",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ], common),
        .executableTarget(name: "skein", dependencies: ["Commands"], swiftSettings: common),

        // Throw-away servers and what else tests with real servers share.
        .target(
            name: "TestServers", path: "Tests/TestServers", swiftSettings: common),
        tests("TestServersTests", ["TestServers"]),
        tests("MySQLCoreTests", ["MySQLCore"]),
        tests("MySQLSyntaxTests", ["MySQLCore", "MySQLSyntax"]),
        tests(
            "MySQLBinlogTests", ["MySQLCore", "MySQLBinlog"],
            resources: [.copy("Golden")]),
        tests("DumpFilesTests", ["MySQLCore", "MySQLSyntax", "DumpFiles"]),
        tests("RulesTests", ["MySQLCore", "MySQLSyntax", "MySQLBinlog", "Rules"]),
        tests("RuntimeTests", ["Runtime"]),
        tests("MySQLClientTests", ["MySQLCore", "MySQLClient", "TestServers"]),
        tests(
            "StreamTests", ["MySQLCore", "MySQLBinlog", "MySQLClient", "Stream", "TestServers"]),
        tests(
            "RelayTests",
            [
                "MySQLCore", "MySQLBinlog", "MySQLClient", "Stream", "Relay", "Peer", "Runtime",
                "TestServers",
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ]),
        tests("CheckpointTests", ["MySQLCore", "MySQLClient", "Checkpoint", "TestServers"]),
        tests(
            "SnapshotTests",
            [
                "MySQLCore", "MySQLSyntax", "DumpFiles", "Rules", "MySQLClient", "Checkpoint",
                "Snapshot", "Runtime", "TestServers",
            ]),
        tests("VerificationTests", ["MySQLCore", "MySQLClient", "Verification", "TestServers"]),
        tests(
            "ReplicationTests",
            [
                "MySQLCore", "MySQLSyntax", "MySQLBinlog", "Rules", "MySQLClient", "Checkpoint",
                "Stream", "Replication", "Runtime", "TestServers",
            ]),
        tests(
            "MigrationTests",
            [
                "MySQLCore", "MySQLClient", "Verification", "Metadata", "Settings", "Cluster",
                "TestServers", "Worker",
            ]),
        tests(
            "MetadataTests",
            [
                "Metadata", "TestServers",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ]),
        tests(
            "ClusterTests",
            [
                "Cluster", "Metadata", "Settings", "TestServers", "Worker",
                .product(name: "Logging", package: "swift-log"),
            ]),
        tests(
            "APITests",
            [
                "API", "Cluster", "Metadata", "MySQLClient", "Runtime", "Settings", "Worker",
                "TestServers", .product(name: "Logging", package: "swift-log"),
            ]),
        tests("SettingsTests", ["MySQLCore", "MySQLClient", "Rules", "Settings"]),
        tests(
            "ChecksTests",
            [
                "MySQLCore", "MySQLClient", "Checkpoint", "Rules", "Relay", "Stream", "Runtime",
                "Settings", "Worker", "TestServers",
                .product(name: "Logging", package: "swift-log"),
            ]),
        tests(
            "CommandsTests",
            [
                "MySQLCore", "MySQLClient", "Rules", "Checkpoint", "Stream", "Relay", "Replication",
                "Snapshot", "Settings", "Worker", "Cluster", "Commands",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        tests("TidyTests", []),
    ]
)
