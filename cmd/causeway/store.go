package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"causeway/internal/cli"
	"causeway/internal/control/store"
	"causeway/internal/control/store/etcdstore"
)

// storeOptions are the flags that say where a controller keeps everything.
type storeOptions struct {
	endpoints                []string
	ca, certificate, etcdKey string
	prefix                   string
}

func (o *storeOptions) flags(c *command) {
	f := c.Flags()
	f.StringSliceVar(&o.endpoints, "etcd-endpoints", nil, "an etcd cluster to use in place of the controller's own, URLs with commas between")
	f.StringVar(&o.ca, "etcd-ca", "", "PEM file with the authority of the cluster's certificates")
	f.StringVar(&o.certificate, "etcd-cert", "", "PEM file with the certificate to show to the cluster")
	f.StringVar(&o.etcdKey, "etcd-key", "", "PEM file with that certificate's key")
	f.StringVar(&o.prefix, "etcd-prefix", "", "what the store's keys begin with, for clusters that others use, too")
	for _, name := range []string{"etcd-ca", "etcd-cert", "etcd-key"} {
		_ = c.MarkFlagFilename(name, "pem", "crt", "key")
	}
}

// open opens the store: the cluster that was named, or one in the data folder.
func (o storeOptions) open(ctx context.Context, dir string, log *slog.Logger) (store.Store, error) {
	if len(o.endpoints) == 0 {
		return etcdstore.OpenEmbedded(ctx, etcdstore.Embedded{Folder: filepath.Join(dir, "store"), Prefix: o.prefix, Log: log})
	}
	config, err := o.tls()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return etcdstore.Dial(ctx, etcdstore.External{Endpoints: o.endpoints, TLS: config, Prefix: o.prefix, Log: log})
}

func (o storeOptions) tls() (*tls.Config, error) {
	plain := true
	for _, e := range o.endpoints {
		plain = plain && strings.HasPrefix(e, "http://")
	}
	if plain {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.ca != "" {
		text, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, fmt.Errorf("read --etcd-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("read --etcd-ca: %s has no certificate", o.ca)
		}
	}
	switch {
	case o.certificate != "" && o.etcdKey != "":
		pair, err := tls.LoadX509KeyPair(o.certificate, o.etcdKey)
		if err != nil {
			return nil, fmt.Errorf("read --etcd-cert and --etcd-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	case o.certificate != "" || o.etcdKey != "":
		return nil, cli.Misuse("%w", errors.New("--etcd-cert and --etcd-key belong together")).WithFix("give both, or neither")
	}
	return config, nil
}
