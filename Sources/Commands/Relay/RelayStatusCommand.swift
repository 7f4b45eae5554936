internal import ArgumentParser
internal import MySQLCore
internal import Relay
internal import Runtime

/// `skein relay status`: what a relay log holds.
struct RelayStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show the files of a relay log, and who needs them.")

    @Argument(help: "The relay log's folder.")
    var folder: String?

    @Option(help: ArgumentHelp("The cluster's source, instead of a folder.", valueName: "name"))
    var source: String?

    @Option(help: "How it is shown.")
    var output = RelayOutput.lines

    @OptionGroup var endpoints: EndpointFlags

    func validate() throws { try checkRelayPlace(folder, source) }

    func run() async throws {
        if let source { return try await showRelay(of: source) }
        guard let folder else { return }
        let archive = try RelayArchive(path: folder)
        let files = archive.files()
        if output == .json {
            printData(record(archive, files, folder).description)
            return
        }
        var shown: RelayFolder?
        for file in files {
            if file.folder != shown { printData("\(file.folder)") }
            shown = file.folder
            var line = "  \(file.name)  \(TextFitting.padded(size(file), 10))"
            line += "  \(Wording.utc(microseconds: file.changedSeconds * 1_000_000))"
            if !"\(file.previous)".isEmpty {
                line += "  behind \(TextFitting.shortened("\(file.previous)", 60))"
            }
            if !file.neededBy.isEmpty {
                line += "  needed by \(file.neededBy.joined(separator: ", "))"
            }
            printData(TextFitting.printable(line))
        }
        let bytes = files.reduce(UInt64(0)) { $0 + $1.size }
        let lost = archive.lost
        let lostBytes = lost.reduce(UInt64(0)) { $0 + $1.bytes }
        printData(
            "\(files.count == 1 ? "1 file" : "\(files.count) files"), \(Wording.bytes(Double(bytes)))"
                + (lost.isEmpty ? "" : ", and \(Wording.bytes(Double(lostBytes))) put aside")
                + (archive.isWritten ? ", being written" : ""))
        for it in lost {
            printData(
                TextFitting.printable(
                    "put aside, cut from the log or unusable: \(it.path)  "
                        + "\(Wording.bytes(Double(it.bytes)))  "
                        + Wording.utc(microseconds: it.changedSeconds * 1_000_000)))
        }
        if let upstream = archive.meta?.upstream {
            printData("upstream \(TextFitting.printable(upstream))")
        }
        if let meta = archive.meta {
            printData(
                "saved at \(meta.file):\(meta.position)"
                    + (meta.gtids.isEmpty ? "" : " (\(meta.gtids))"))
        }
        for problem in archive.problems() {
            printData(TextFitting.printable("warning: \(problem)"))
        }
    }

    private func size(_ file: RelayArchive.File) -> String { Wording.bytes(Double(file.size)) }

    private func record(
        _ archive: RelayArchive, _ files: [RelayArchive.File], _ folder: String
    ) -> JSONObject {
        var out = StatusRecord.begin("relay", wallClockMicroseconds())
        out.set("folder", folder)
        out.set("written", archive.isWritten)
        let lost = archive.lost
        let lostBytes = lost.reduce(UInt64(0)) { $0 + $1.bytes }
        out.set("bytes", files.reduce(lostBytes) { $0 + $1.size })
        out.set("lost", lost.map(\.path))
        out.set("lost_bytes", lostBytes)
        out.set("warnings", archive.problems())
        out.set("upstream", archive.meta?.upstream)
        out.set("saved_file", archive.meta?.file)
        out.set("saved_position", archive.meta?.position)
        out.set("saved_gtids", archive.meta?.gtids)
        out.set(
            "files",
            files.map { file in
                var entry = JSONObject()
                entry.set("folder", "\(file.folder)")
                entry.set("name", file.name)
                entry.set("bytes", file.size)
                entry.set("changed", Wording.utc(microseconds: file.changedSeconds * 1_000_000))
                entry.set("previous_gtids", file.previous == .none ? nil : "\(file.previous)")
                entry.set("needed_by", file.neededBy)
                return entry
            })
        return out
    }
}
