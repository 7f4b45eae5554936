// The program is in Commands, where tests can reach it.
import Commands

await Program.main()
