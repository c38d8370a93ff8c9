package doctor

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Checks are all there are, in the order in which they are run: the machine from
// the inside out, then what the PoP here says.
var Checks = slices.Concat(kernelChecks, limitChecks, networkChecks, fileChecks, outsideChecks, popChecks)

func ok(format string, args ...any) outcome {
	return outcome{verdict: OK, found: fmt.Sprintf(format, args...)}
}

func skip(format string, args ...any) outcome {
	return outcome{verdict: Skip, found: fmt.Sprintf(format, args...)}
}

func warn(found, fix string) outcome { return outcome{Warn, found, fix} }
func fail(found, fix string) outcome { return outcome{Fail, found, fix} }

// text is a file's content without the end of its line; "" when it is not there.
func (t *Target) text(path string) (string, bool) {
	b, err := t.System.ReadFile(path)
	return strings.TrimSpace(string(b)), err == nil
}

// sysctl reads a kernel setting by its dotted name.
func (t *Target) sysctl(name string) (string, bool) {
	return t.text("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
}

func (t *Target) number(name string) (int64, bool) {
	s, there := t.sysctl(name)
	n, err := strconv.ParseInt(s, 10, 64)
	return n, there && err == nil
}

// atLeast makes a check of a setting that should not be smaller.
func atLeast(name, about, setting string, least int64, why string) Check {
	return Check{name, about, func(_ context.Context, t *Target) outcome {
		have, there := t.number(setting)
		switch {
		case !there:
			return skip("%s is not there", setting)
		case have < least:
			return warn(fmt.Sprintf("%s is %d: %s", setting, have, why),
				fmt.Sprintf("sysctl -w %s=%d, and a line for it in /etc/sysctl.d/60-causeway.conf", setting, least))
		}
		return ok("%s is %d", setting, have)
	}}
}
