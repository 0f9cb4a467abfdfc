# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY requirements-build.lock requirements.lock ./
RUN pip install --require-hashes -r requirements-build.lock \
 && python -m venv /opt/symptom-intake \
 && /opt/symptom-intake/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY questionnaires questionnaires
RUN pip wheel --no-deps --no-build-isolation -w /dist . \
 && /opt/symptom-intake/bin/pip install --no-deps --no-index /dist/*.whl

FROM python:3.13-slim
COPY --from=build /opt/symptom-intake /opt/symptom-intake
# The root file system may be mounted read-only: what the service writes goes to /data alone.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin intake \
 && install -d -m 0700 -o intake -g intake /data
ENV PATH=/opt/symptom-intake/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SYMPTOM_INTAKE_DATABASE_URL=sqlite:////data/intake.db
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENTRYPOINT ["symptom-intake"]
# With SYMPTOM_INTAKE_AUTH=open, the default, the service refuses to listen beyond the loopback interface until the
# operator sets SYMPTOM_INTAKE_ALLOW_OPEN_ON_NETWORK=true on the container. That is theirs to say, not the image's.
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
