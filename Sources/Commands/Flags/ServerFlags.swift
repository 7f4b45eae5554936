internal import ArgumentParser
internal import MySQLClient
internal import Settings

/// Flags that say where the source is and how to reach it.
struct SourceFlags: ParsableArguments {
    @Option(help: ArgumentHelp("The source server.", valueName: "mysql://user@host:port"))
    var source: String?

    @Option(
        help: ArgumentHelp(
            "File with the source user's password, instead of SKEIN_SOURCE_PASSWORD or the prompt.",
            valueName: "file"))
    var sourcePasswordFile: String?

    @Option(
        help: ArgumentHelp(
            "disabled, preferred, required, verify-ca or verify-identity (default: preferred).",
            valueName: "mode"), transform: parseTLSMode)
    var sourceTls: TLSOptions.Mode?

    @Option(help: ArgumentHelp("CA certificates (PEM) for the source.", valueName: "file"))
    var sourceTlsCa: String?

    @Option(help: ArgumentHelp("Client certificate (PEM) for the source.", valueName: "file"))
    var sourceTlsCert: String?

    @Option(help: ArgumentHelp("Client key (PEM) for the source.", valueName: "file"))
    var sourceTlsKey: String?

    /// Writes the flags that were given into a draft.
    func apply(to draft: inout SettingsDraft) throws {
        if let source { draft.source.url = try parseServer(source, "--source") }
        draft.source.passwordFile = sourcePasswordFile
        draft.source.tlsMode = sourceTls
        draft.source.tlsCA = sourceTlsCa
        draft.source.tlsCertificate = sourceTlsCert
        draft.source.tlsKey = sourceTlsKey
    }
}

/// Flags that say where the target is and how to reach it.
struct TargetFlags: ParsableArguments {
    @Option(help: ArgumentHelp("The target server.", valueName: "mysql://user@host:port"))
    var target: String?

    @Option(
        help: ArgumentHelp(
            "File with the target user's password, instead of SKEIN_TARGET_PASSWORD or the prompt.",
            valueName: "file"))
    var targetPasswordFile: String?

    @Option(
        help: ArgumentHelp(
            "TLS with the target: disabled, preferred, required, verify-ca or verify-identity "
                + "(default: preferred).", valueName: "mode"),
        transform: parseTLSMode)
    var targetTls: TLSOptions.Mode?

    @Option(help: ArgumentHelp("CA certificates (PEM) for the target.", valueName: "file"))
    var targetTlsCa: String?

    @Option(help: ArgumentHelp("Client certificate (PEM) for the target.", valueName: "file"))
    var targetTlsCert: String?

    @Option(help: ArgumentHelp("Client key (PEM) for the target.", valueName: "file"))
    var targetTlsKey: String?

    /// Writes the flags that were given into a draft.
    func apply(to draft: inout SettingsDraft) throws {
        if let target { draft.target.url = try parseServer(target, "--target") }
        draft.target.passwordFile = targetPasswordFile
        draft.target.tlsMode = targetTls
        draft.target.tlsCA = targetTlsCa
        draft.target.tlsCertificate = targetTlsCert
        draft.target.tlsKey = targetTlsKey
    }
}

/// Flags that say where source and target are and how to reach them.
struct ServerFlags: ParsableArguments {
    @OptionGroup var from: SourceFlags
    @OptionGroup var to: TargetFlags

    /// The source's URL, as it was given.
    var source: String? { from.source }
    /// The target's URL, as it was given.
    var target: String? { to.target }

    /// Writes the flags that were given into a draft.
    func apply(to draft: inout SettingsDraft) throws {
        try from.apply(to: &draft)
        try to.apply(to: &draft)
    }

    /// Settings of a command that needs servers and tables alone.
    func settings(_ selection: SelectionFlags) throws -> MigrationSettings {
        var draft = try selection.fileDraft()
        var flags = SettingsDraft()
        try apply(to: &flags)
        selection.apply(to: &flags)
        draft.override(with: flags)
        return try draft.migrationSettings(.standard)
    }
}

private func parseServer(_ text: String, _ flag: String) throws -> ConnectionOptions {
    do throws(URLError) {
        return try ConnectionOptions(url: text)
    } catch {
        throw SettingsError("\(flag): \(error)")
    }
}

private func parseTLSMode(_ text: String) throws -> TLSOptions.Mode {
    guard let mode = TLSOptions.Mode(rawValue: text) else {
        let names = TLSOptions.Mode.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("must be one of \(names)")
    }
    return mode
}

extension PasswordSource {
    /// The process's environment, and a prompt where somebody can be asked.
    static var standard: PasswordSource {
        var prompt: ((String) -> String?)?
        if Prompt.isPossible { prompt = { Prompt.password($0) } }
        return PasswordSource(environment: { environmentValue($0) }, prompt: prompt)
    }

    /// The process's environment only: where a password that is not given is none that is missing.
    static var withoutPrompt: PasswordSource {
        PasswordSource(environment: { environmentValue($0) }, prompt: nil)
    }
}
