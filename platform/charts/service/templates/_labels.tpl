{{/* What the chart's objects carry. */}}
{{- define "service.labels" -}}
{{ include "service.selector" . }}
app.kubernetes.io/name: {{ .Values.name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* What tells the pods of one release; never changed, or Kubernetes refuses the upgrade. */}}
{{- define "service.selector" -}}
app: {{ .Values.name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Name of the Secret with the token of the fault switch. */}}
{{- define "service.faultsSecret" -}}
{{ .Values.faults.existingSecret | default (printf "%s-faults" .Values.name) }}
{{- end }}

{{/* A probe's HTTP request and its times. */}}
{{- define "service.probe" -}}
httpGet:
  path: {{ .path }}
  port: http
periodSeconds: {{ .periodSeconds }}
timeoutSeconds: {{ .timeoutSeconds }}
failureThreshold: {{ .failureThreshold }}
{{- with .graceSeconds }}
terminationGracePeriodSeconds: {{ . }}
{{- end }}
{{- end }}
