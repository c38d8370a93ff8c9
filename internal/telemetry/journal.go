package telemetry

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// NewJournalHandler returns a handler for services of systemd: one line a record,
// its level as the prefix that journald takes for the priority (sd-daemon(3)),
// and without a time, which journald has by itself.
func NewJournalHandler(w io.Writer, level slog.Leveler) slog.Handler {
	return newJournalHandler(w, level)
}

func newJournalHandler(w io.Writer, level slog.Leveler) *journal {
	j := &journal{to: w, level: level, mu: &sync.Mutex{}}
	j.inner = slog.NewTextHandler(&j.line, &slog.HandlerOptions{Level: level, ReplaceAttr: bare})
	return j
}

// bare takes time, level and the message's key out of a line.
func bare(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return slog.Attr{}
	}
	return a
}

type journal struct {
	to    io.Writer
	level slog.Leveler
	mu    *sync.Mutex // guards writing; shared with handlers made from this one
	line  bytes.Buffer
	inner slog.Handler
	wrap  []func(slog.Handler) slog.Handler
}

func (j *journal) Enabled(_ context.Context, l slog.Level) bool { return l >= j.level.Level() }

func (j *journal) with(f func(slog.Handler) slog.Handler) *journal {
	out := &journal{to: j.to, level: j.level, mu: j.mu, wrap: append(append([]func(slog.Handler) slog.Handler{}, j.wrap...), f)}
	out.inner = slog.NewTextHandler(&out.line, &slog.HandlerOptions{Level: j.level, ReplaceAttr: bare})
	for _, w := range out.wrap {
		out.inner = w(out.inner)
	}
	return out
}

func (j *journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	return j.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (j *journal) WithGroup(name string) slog.Handler {
	return j.with(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.line.Reset()
	if err := j.inner.Handle(ctx, r); err != nil {
		return err
	}
	text := strings.TrimPrefix(j.line.String(), "msg=")
	if plain := r.Message; !strings.ContainsAny(plain, "\"\n\r\\") { // a quoted message that need not be
		text = strings.Replace(text, `"`+plain+`"`, plain, 1)
	}
	_, err := io.WriteString(j.to, priority(r.Level)+text)
	return err
}

func priority(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "<3>"
	case l >= slog.LevelWarn:
		return "<4>"
	case l >= slog.LevelInfo:
		return "<6>"
	}
	return "<7>"
}
