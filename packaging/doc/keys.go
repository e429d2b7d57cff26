package main

import (
	"strings"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/keys"
)

func (b build) jcloudPage() string {
	p := newPage("jcloud.yml", 5, b.date, b.version)
	p.name("jcloud.yml", "configuration of a function of fnctl")
	p.section("description")
	p.text(`jcloud.yml says what a function is: its app, the size of an instance, how it scales, its environment and its hosts. Every key
has a default, so that an empty file, or none, is a working configuration.

fnctl-deploy(1) reads the file given with ` + "`--config`, else `jcloud.yml`, else `jcloud.yaml`" + ` in the directory of the app.
fnctl-validate(1) checks a file and changes nothing. A file with an error is never used in part.` + yamlText)
	keyList(p, platform.ConfigManual())
	p.section("examples")
	p.example(`instance: C3          # 1 core, 2 GB
autoscale:
  min: 0              # to zero when idle
  max: 5
  metric: rps
  target: 10          # requests per second, for each instance`)
	seeAlso(p, "fnctl(1)", "fnctl-deploy(1)", "fnctl-validate(1)", "fnctl.yml(5)")
	return p.String()
}

func (b build) settingsPage() string {
	p := newPage("fnctl.yml", 5, b.date, b.version)
	p.name("fnctl.yml", "settings of fnctl on this machine")
	p.section("synopsis")
	p.WriteString(italic("/etc/fnctl/fnctl.yml") + "\n")
	p.section("description")
	p.text(`fnctl.yml has the settings of fnctl on this machine. Every key has a default, so that an empty file, or none, is a working one.

Commands read the file each time. The daemons read it when they start, and do not start with a file that is wrong. After a
change of ` + "`endpoint` or `gateway`: `systemctl reload fnctl-gateway`, and no request fails. After a change of `metrics`:\n" +
		"`systemctl restart fnctl-activator`." + yamlText)
	keyList(p, platform.SettingsManual())
	p.section("examples")
	p.example(`endpoint: https://{name}.fn.example.com
gateway:
  trusted_proxies: [192.0.2.10]`)
	seeAlso(p, "fnctl(1)", "jcloud.yml(5)", "systemctl(1)")
	return p.String()
}

const yamlText = `

The file is one document of YAML in UTF-8, at most 1 MiB. Durations are seconds or a number with ms, s, m or h. Sizes have
a decimal unit (K, KB, M, MB, G, GB) or a binary one (Ki, Mi, Gi). A key that is left out, or set to null, has its default.`

func keyList(p *page, manual []keys.Manual) {
	p.section("keys")
	for _, key := range manual {
		meaning := key.Meaning
		if key.Value == "" {
			p.item(bold(key.Path), meaning+" Its keys follow.")
			continue
		}
		details := "Value: " + key.Value + "."
		if key.Default != "" {
			details += " Default: " + key.Default + "."
		}
		details += " Example: `" + strings.ReplaceAll(key.Example, "`", "") + "`"
		p.item(bold(key.Path), meaning+"\n\n"+details)
	}
}
