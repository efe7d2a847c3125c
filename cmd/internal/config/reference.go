package config

import (
	"fmt"
	"strings"
)

// Reference is the page that says what every key does.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	section := ""
	values := defaults()
	for _, k := range Keys() {
		if s, _, nested := strings.Cut(k.Name, "."); (nested && s != section) || (!nested && section != "-") {
			if section = s; !nested {
				section = "-"
				s = "The rest"
			}
			fmt.Fprintf(&b, "\n## %s\n\n| key | default | what it does |\n|---|---|---|\n", s)
		}
		fmt.Fprintf(&b, "| `%s`%s | `%s` | %s%s |\n", k.Name, marks(k), values[k.Name], k.Doc, more(k))
	}
	return b.String()
}

const referenceHead = "# Configuration\n\n" +
	"A value is looked for in flags, then variables, the user's file, the project's file, then it is the default.\n" +
	"The key `ipfs.timeout` is the flag `--ipfs-timeout` and the variable `IPFS_ACCELERATE_IPFS_TIMEOUT`.\n\n" +
	"- The user's file is `config.json` or `config.yaml` in the data directory if that was named, else `~/.ipfs_accelerate/config.json`,\n" +
	"  else `config.json` or `config.yaml` in `$XDG_CONFIG_HOME/ipfs-accelerate`; `--config FILE` or `IPFS_ACCELERATE_CONFIG` names another.\n" +
	"- The project's file is `ipfs_accelerate.json` in the working directory. It comes with a stranger's code, so it sets only what is marked ᵖ;\n" +
	"  the rest of it is left out and named in a warning.\n" +
	"- What is marked ʳ changes while the server runs when it gets SIGHUP; the rest needs a restart, and is named.\n" +
	"- `config show --origin` says what holds and why, `config init` writes a file to begin with, `config validate` checks, `config schema` prints the JSON Schema.\n"

// marks say who may set a key, and when.
func marks(k Key) string {
	out := ""
	if k.Project {
		out += "ᵖ"
	}
	if k.Reload {
		out += "ʳ"
	}
	return out
}

// more names what else sets a key.
func more(k Key) string {
	var also []string
	for _, f := range k.Flags[1:] {
		also = append(also, "`--"+f+"`")
	}
	for _, e := range k.Envs[1:] {
		also = append(also, "`"+e+"`")
	}
	if len(also) == 0 {
		return ""
	}
	return " Also " + strings.Join(also, ", ") + "."
}
