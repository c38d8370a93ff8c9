package etcdstore

import (
	"log/slog"
	"sync/atomic"

	"go.uber.org/zap/zapcore"
)

// bridge passes errors of etcd's own log on to ours, as warnings: what they
// mean for the control plane, its own calls will say. Everything below is left
// out; etcd tells of each step it takes.
type bridge struct {
	log      *slog.Logger
	stopping *atomic.Bool // etcd was told to stop; nil: it is not in this process
	fields   []zapcore.Field
}

// served is what etcd says of each of its listeners that ends, also when that
// is what it was told.
const served = "setting up serving from embedded etcd failed."

func (b *bridge) Enabled(l zapcore.Level) bool { return l >= zapcore.ErrorLevel }
func (b *bridge) Sync() error                  { return nil }

func (b *bridge) With(fields []zapcore.Field) zapcore.Core {
	return &bridge{b.log, b.stopping, append(b.fields[:len(b.fields):len(b.fields)], fields...)}
}

func (b *bridge) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return ce.AddCore(e, b)
	}
	return ce
}

func (b *bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if b.stopping != nil && b.stopping.Load() && e.Message == served {
		return nil
	}
	encoder := zapcore.NewMapObjectEncoder()
	for _, f := range b.fields {
		f.AddTo(encoder)
	}
	for _, f := range fields {
		f.AddTo(encoder)
	}
	b.log.Warn("etcd says: "+e.Message, "fields", encoder.Fields)
	return nil
}
