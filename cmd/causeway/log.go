package main

import (
	"log/slog"
	"os"

	"causeway/internal/cli"
	"causeway/internal/telemetry"
)

// logOptions are the flags of commands that log.
type logOptions struct{ logFormat, logLevel string }

func (o *logOptions) flags(c *command) {
	c.Flags().StringVar(&o.logFormat, "log-format", "text", "text, json or journald")
	c.Flags().StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
}

func (o logOptions) logger() (*slog.Logger, error) {
	var level slog.Level
	if level.UnmarshalText([]byte(o.logLevel)) != nil {
		return nil, cli.Misuse("--log-level is %q; allowed: debug, info, warn, error", o.logLevel)
	}
	switch options := (&slog.HandlerOptions{Level: level}); o.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, options)), nil
	case "journald":
		return slog.New(telemetry.NewJournalHandler(os.Stderr, level)), nil
	}
	return nil, cli.Misuse("--log-format is %q; allowed: text, json, journald", o.logFormat)
}
