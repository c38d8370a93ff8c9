// Command image writes an OCI image of the causeway program, with nothing else
// in it, to a file that docker, podman and ctr load. It needs no daemon, and equal
// inputs give equal images.
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	program := flag.String("program", "", "the program to put in")
	version := flag.String("version", "0.0.0", "its version")
	arch := flag.String("arch", "amd64", "its architecture")
	epoch := flag.Int64("epoch", 0, "time of everything in it, seconds since 1970")
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if err := run(*program, *version, *arch, *out, time.Unix(*epoch, 0).UTC()); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(program, version, arch, out string, at time.Time) error {
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return files(program, at) })
	if err != nil {
		return err
	}
	image, err := mutate.Append(empty.Image, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "causeway packaging/image", Created: v1.Time{Time: at}}})
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: at}
	config.Config = v1.Config{
		Entrypoint: []string{"/usr/bin/causeway"}, Cmd: []string{"help"}, WorkingDir: "/var/lib/causeway",
		Env:          []string{"PATH=/usr/bin"},
		Volumes:      map[string]struct{}{"/var/lib/causeway": {}},
		ExposedPorts: map[string]struct{}{"500/udp": {}, "4500/udp": {}, "4600/udp": {}, "4640/tcp": {}},
		Labels: map[string]string{
			"org.opencontainers.image.title": "causeway", "org.opencontainers.image.version": version, "org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.description": "Self-hosted global accelerator for IPsec VPN",
		},
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return err
	}
	tag, err := name.NewTag("causeway:" + version)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(out, tag, image)
}

// files is the image's file system.
func files(program string, at time.Time) (io.ReadCloser, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, body []byte) {
		h.ModTime, h.Size, h.Format = at, int64(len(body)), tar.FormatPAX
		if err == nil {
			err = w.WriteHeader(&h)
		}
		if err == nil {
			_, err = w.Write(body)
		}
	}
	for _, dir := range []string{"etc/", "etc/causeway/", "run/", "run/causeway/", "tmp/", "usr/", "usr/bin/", "var/", "var/lib/", "var/lib/causeway/"} {
		add(tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	add(tar.Header{Name: "usr/bin/causeway", Typeflag: tar.TypeReg, Mode: 0o755}, text)
	if err == nil {
		err = w.Close()
	}
	return io.NopCloser(&b), err
}
