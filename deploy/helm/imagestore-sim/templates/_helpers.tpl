{{/* The name of all that a release has. Names of Services have at most 63 letters. */}}
{{- define "imagestore-sim.name" -}}
{{- $chart := .Values.nameOverride | default .Chart.Name -}}
{{- $name := .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name)) -}}
{{- $name | trunc 36 | trimSuffix "-" -}}
{{- end -}}

{{- define "imagestore-sim.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* The Service that gives each node a name of its own. */}}
{{- define "imagestore-sim.nodes" -}}
{{ include "imagestore-sim.name" . }}-nodes
{{- end -}}

{{/* What all objects are labelled with; of [context, component]. */}}
{{- define "imagestore-sim.labels" -}}
{{- $context := first . -}}
helm.sh/chart: {{ printf "%s-%s" $context.Chart.Name $context.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ $context.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $context.Release.Service }}
{{ include "imagestore-sim.selector" . }}
{{- end -}}

{{- define "imagestore-sim.selector" -}}
{{- $context := first . -}}
app.kubernetes.io/name: {{ $context.Chart.Name }}
app.kubernetes.io/instance: {{ $context.Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end -}}

{{/* "yes" if a secret of the values is given, as a value or by the name of a Secret. */}}
{{- define "imagestore-sim.given" -}}
{{- if or .value .existingSecret }}yes{{ end -}}
{{- end -}}

{{/* "yes" if the nodes keep their records in a MariaDB. */}}
{{- define "imagestore-sim.shared" -}}
{{- include "imagestore-sim.given" .Values.store.databaseUrl -}}
{{- end -}}

{{/* Variables from secrets of the values: of [context, {variable: secret}]. One that is not given is left out. */}}
{{- define "imagestore-sim.variables" -}}
{{- $context := first . -}}
{{- range $variable, $secret := last . -}}
{{- if include "imagestore-sim.given" $secret -}}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret.existingSecret | default (include "imagestore-sim.name" $context) }}
      key: {{ $secret.key }}
{{ end -}}
{{- end -}}
{{- end -}}

{{/* The options that allow each name which the cluster's DNS has for a Service, or for its pods: of [context, NAME or *.NAME]. */}}
{{- define "imagestore-sim.allowedHosts" -}}
{{- $context := first . -}}
{{- $inNamespace := printf "%s.%s" (last .) $context.Release.Namespace -}}
- --allowed-host={{ last . }}
- --allowed-host={{ $inNamespace }}
- --allowed-host={{ $inNamespace }}.svc
- --allowed-host={{ $inNamespace }}.svc.{{ $context.Values.clusterDomain }}
{{- end -}}

{{- define "imagestore-sim.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
privileged: false
readOnlyRootFilesystem: true
{{- end -}}

{{- define "imagestore-sim.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* The records that the nodes begin with: those of the values, and a storage on each host of the fleets. */}}
{{- define "imagestore-sim.bootstrap" -}}
{{- $given := omit .Values.bootstrap "backupStorages" "accounts" -}}
{{- $storages := .Values.bootstrap.backupStorages | default list -}}
{{- $accounts := .Values.bootstrap.accounts | default list -}}
{{- $own := include "imagestore-sim.given" .Values.adminPassword -}}
{{- with $given }}{{ toYaml . }}
{{ end -}}
{{- if or $accounts $own -}}
accounts:
{{ with $accounts }}{{ toYaml . }}
{{ end -}}
{{- if $own -}}
- {name: admin, password: !env ADMIN_PASSWORD}
{{ end -}}
{{- end -}}
{{- if or $storages .Values.fleets -}}
backupStorages:
{{ with $storages }}{{ toYaml . }}
{{ end -}}
{{- $password := ternary ", password: !env FLEET_PASSWORD" "" (eq "yes" (include "imagestore-sim.given" .Values.fleet.password)) -}}
{{- range $fleet := .Values.fleets -}}
{{- $zone := "" -}}
{{- with $fleet.zoneUuid }}{{ $zone = printf ", attachedZoneUuids: [%q]" . }}{{ end -}}
{{- range $number := until (int $fleet.count) -}}
{{- $name := printf "%s-%d" $fleet.name (add1 $number) -}}
- {name: {{ $name }}, hostname: {{ $name }}, sshPort: {{ add $.Values.fleet.firstPort $number }}, url: /Cloud_bs{{ $password }}{{ $zone }}}
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What YAML cannot say in values: "!env NAME" is the value of a variable. */}}
{{- define "imagestore-sim.bootstrapText" -}}
{{- regexReplaceAll "(?m)['\"]!env ([A-Za-z_][A-Za-z0-9_]*)['\"]" (include "imagestore-sim.bootstrap" .) "!env $1" -}}
{{- end -}}

{{/* Where the hosts of the fleets are: the Service of a fleet, and the names of its hosts; and where their agents listen. */}}
{{- define "imagestore-sim.hosts" -}}
{{- range $fleet := .Values.fleets -}}
{{- $service := include "imagestore-sim.fleet" (list $ $fleet) -}}
{{ $service }}
{{- range $number := until (int $fleet.count) }} {{ $fleet.name }}-{{ add1 $number }}{{ end }}
{{ with $.Values.fleet.firstAgentPort -}}
{{- range $number := until (int $fleet.count) -}}
{{ $service }}:{{ add $.Values.fleet.firstAgentPort $number }} {{ $fleet.name }}-{{ add1 $number }}:8000
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The name of a fleet's Service and StatefulSet: of [context, fleet]. The pods of a StatefulSet have its name and a hash in a
label of 63 letters, which leaves 52 to the name: a longer one ends with a hash of the whole in place of what is cut off. */}}
{{- define "imagestore-sim.fleet" -}}
{{- $name := printf "%s-fleet-%s" (include "imagestore-sim.name" (first .)) (last .).name -}}
{{- ternary $name (printf "%s-%s" ($name | trunc 43 | trimSuffix "-") (sha256sum $name | trunc 8)) (le (len $name) 52) -}}
{{- end -}}

{{/* End with one plain sentence if the values do not fit together. */}}
{{- define "imagestore-sim.check" -}}
{{- $shared := include "imagestore-sim.shared" . -}}
{{- if and (gt (int .Values.node.replicas) 1) (not $shared) -}}
{{- fail (printf "node.replicas is %d, but a SQLite file is of one node alone: several nodes share a MariaDB, so give store.databaseUrl." (int .Values.node.replicas)) -}}
{{- end -}}
{{- if and $shared (not (include "imagestore-sim.given" .Values.store.vaultKey)) -}}
{{- fail "store.vaultKey is missing: all nodes of a MariaDB seal its passwords with one key; make one by: head -c 32 /dev/urandom | base64 | tr '+/' '-_'" -}}
{{- end -}}
{{- $names := list -}}
{{- $first := int .Values.fleet.firstPort -}}
{{- $agents := int .Values.fleet.firstAgentPort -}}
{{- range .Values.fleets -}}
{{- if and $agents (lt $agents (add $first .count)) (lt $first (add $agents .count)) -}}
{{- fail (printf "fleets: %s: the ports of its agents, from fleet.firstAgentPort on, are among those of its hosts." .name) -}}
{{- end -}}
{{- if has .name $names -}}{{- fail (printf "fleets: two of them are called %s: their hosts would have the same names." .name) -}}{{- end -}}
{{- $names = append $names .name -}}
{{- if gt (int .used) (int (.size | default 1099511627776)) -}}{{- fail (printf "fleets: %s: used is more than size." .name) -}}{{- end -}}
{{- end -}}
{{- range .Values.bootstrap.accounts -}}
{{- if and (eq .name "admin") (include "imagestore-sim.given" $.Values.adminPassword) -}}
{{- fail "bootstrap.accounts has the account admin, and adminPassword is given: give one of them." -}}
{{- end -}}
{{- end -}}
{{- end -}}
