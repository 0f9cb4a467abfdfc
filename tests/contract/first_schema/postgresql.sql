CREATE TABLE public.card (
    uuid character varying NOT NULL,
    kind character varying NOT NULL,
    page character varying NOT NULL,
    issued_at bigint NOT NULL
);
CREATE TABLE public.clinician_visit (
    id character varying NOT NULL,
    issuer character varying NOT NULL,
    patient character varying NOT NULL,
    "user" character varying NOT NULL,
    expires_at bigint NOT NULL
);
COMMENT ON COLUMN public.clinician_visit.id IS 'SHA-256 of its key';
CREATE TABLE public.feedback (
    card character varying NOT NULL,
    digest character varying NOT NULL,
    kind character varying,
    page character varying,
    outcome character varying NOT NULL,
    body text NOT NULL,
    received_at bigint NOT NULL
);
COMMENT ON COLUMN public.feedback.digest IS 'SHA-256 of the body: one sent again is the same';
COMMENT ON COLUMN public.feedback.kind IS 'of the card; none when it is not known';
CREATE TABLE public.hook_token (
    issuer character varying NOT NULL,
    token_id character varying NOT NULL,
    expires_at bigint NOT NULL
);
COMMENT ON COLUMN public.hook_token.token_id IS 'SHA-256 of the jti';
CREATE TABLE public.invitation (
    response_id character varying NOT NULL,
    page character varying NOT NULL,
    patient character varying NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    revoked_at bigint
);
CREATE TABLE public.launch (
    response_id character varying NOT NULL,
    issuer character varying NOT NULL,
    patient character varying NOT NULL,
    encounter character varying,
    "user" character varying,
    banner character varying
);
CREATE TABLE public.launch_grant (
    id character varying NOT NULL,
    issuer character varying NOT NULL,
    patient character varying NOT NULL,
    sealed text NOT NULL,
    created_at bigint NOT NULL
);
COMMENT ON COLUMN public.launch_grant.sealed IS 'encrypted tokens';
CREATE TABLE public.launch_request (
    state character varying NOT NULL,
    sealed text NOT NULL,
    created_at bigint NOT NULL
);
COMMENT ON COLUMN public.launch_request.state IS 'SHA-256 of the state parameter';
COMMENT ON COLUMN public.launch_request.sealed IS 'encrypted';
CREATE TABLE public.letter (
    id bigint NOT NULL,
    response_id character varying NOT NULL,
    version integer NOT NULL,
    target character varying NOT NULL,
    state character varying NOT NULL,
    due_at bigint NOT NULL,
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    attempts integer NOT NULL,
    leases integer NOT NULL,
    leased_by character varying,
    leased_until bigint,
    problem text,
    note text
);
CREATE SEQUENCE public.letter_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.letter_id_seq OWNED BY public.letter.id;
CREATE TABLE public.pack (
    url character varying NOT NULL,
    version character varying NOT NULL,
    name character varying NOT NULL,
    artifacts text NOT NULL,
    first_accepted_at bigint NOT NULL
);
CREATE TABLE public.placement (
    target character varying NOT NULL,
    resource_type character varying NOT NULL,
    id character varying NOT NULL,
    response_id character varying NOT NULL,
    location character varying NOT NULL,
    etag character varying
);
CREATE TABLE public.proposal (
    response_id character varying NOT NULL,
    body text NOT NULL,
    kept_at bigint NOT NULL
);
CREATE TABLE public.receipt (
    response_id character varying NOT NULL,
    version integer NOT NULL,
    digest character varying NOT NULL,
    triage text NOT NULL,
    warnings text NOT NULL,
    accepted_at bigint NOT NULL
);
CREATE TABLE public.resource (
    seq bigint NOT NULL,
    type character varying NOT NULL,
    id character varying NOT NULL,
    version integer NOT NULL,
    current boolean NOT NULL,
    response_id character varying NOT NULL,
    response_version integer NOT NULL,
    patient character varying,
    body text NOT NULL
);
COMMENT ON COLUMN public.resource.current IS 'whether this is the newest version';
COMMENT ON COLUMN public.resource.response_id IS 'the response whose acceptance wrote it';
COMMENT ON COLUMN public.resource.patient IS 'whose compartment it is in';
CREATE SEQUENCE public.resource_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.resource_seq_seq OWNED BY public.resource.seq;
CREATE TABLE public.response_key (
    kind character varying NOT NULL,
    client character varying NOT NULL,
    subject character varying NOT NULL,
    system character varying NOT NULL,
    value character varying NOT NULL,
    response_id character varying NOT NULL,
    version integer NOT NULL
);
CREATE TABLE public.schema_version (
    version integer NOT NULL
);
CREATE SEQUENCE public.schema_version_version_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.schema_version_version_seq OWNED BY public.schema_version.version;
CREATE TABLE public.signing_key (
    kid character varying NOT NULL,
    sealed text NOT NULL,
    created_at bigint NOT NULL
);
COMMENT ON COLUMN public.signing_key.sealed IS 'the private JWK, encrypted';
CREATE TABLE public.span (
    parameter character varying NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    seq bigint NOT NULL
);
CREATE TABLE public.target (
    name character varying NOT NULL,
    failures integer NOT NULL,
    held_until bigint,
    problem text
);
CREATE TABLE public.term (
    parameter character varying NOT NULL,
    value character varying NOT NULL,
    system character varying NOT NULL,
    seq bigint NOT NULL
);
ALTER TABLE ONLY public.letter ALTER COLUMN id SET DEFAULT nextval('public.letter_id_seq'::regclass);
ALTER TABLE ONLY public.resource ALTER COLUMN seq SET DEFAULT nextval('public.resource_seq_seq'::regclass);
ALTER TABLE ONLY public.schema_version ALTER COLUMN version SET DEFAULT nextval('public.schema_version_version_seq'::regclass);
INSERT INTO public.card VALUES ('c1', 'ask', 'cough', 1773565200000000);
INSERT INTO public.clinician_visit VALUES ('v1', 'https://ehr.example/fhir', '1', 'Practitioner/1', 1773568800000000);
INSERT INTO public.feedback VALUES ('c1', 'f4d22b5c100af3c764de0373cc0392fa1fbe22d6393b15acf2766d3d89d17659', 'ask', 'cough', 'accepted', '{"card":"c1"}', 1773565200000000);
INSERT INTO public.hook_token VALUES ('https://ehr.example/fhir', 't1', 1773565500000000);
INSERT INTO public.invitation VALUES ('r4', 'cough', 'Patient/4', 1773565200000000, 1774774800000000, NULL);
INSERT INTO public.launch VALUES ('r2', 'https://ehr.example/fhir', '2', 'Encounter/1', 'Practitioner/1', 'Ada, 1815-12-10');
INSERT INTO public.launch_grant VALUES ('g1', 'https://ehr.example/fhir', '2', 'sealed', 1773565200000000);
INSERT INTO public.launch_request VALUES ('state', 'sealed', 1773565200000000);
INSERT INTO public.letter VALUES (1, 'r1', 1, 'https://ehr.example/fhir', 'delivered', 1773565200000000, 1773565200000000, 1773565200000000, 1, 1, NULL, NULL, NULL, NULL);
INSERT INTO public.letter VALUES (2, 'r1', 2, 'https://ehr.example/fhir', 'dead', 1773651600000000, 1773651600000000, 1773651600000000, 1, 1, NULL, NULL, '{"reason":"conflict","text":"Changed by others.","status":412,"outcome":null}', NULL);
INSERT INTO public.pack VALUES ('https://pages.example/Questionnaire/cough', '1.0.0', 'cough', '[{"resourceType":"Questionnaire","id":"cough"}]', 1773565200000000);
INSERT INTO public.placement VALUES ('https://ehr.example/fhir', 'Observation', 'o1', 'r1', 'Observation/17', 'W/"1"');
INSERT INTO public.proposal VALUES ('r2', '{"item":[]}', 1773565200000000);
INSERT INTO public.receipt VALUES ('r1', 1, 'digest', '{"resourceType":"Observation","id":"t"}', '[{"severity":"warning","code":"business-rule","text":"No version.","expression":"QuestionnaireResponse.questionnaire","detail":"no-version"}]', 1773565200000000);
INSERT INTO public.receipt VALUES ('r1', 2, 'digest', '{"resourceType":"Observation","id":"t"}', '[{"severity":"warning","code":"business-rule","text":"No version.","expression":"QuestionnaireResponse.questionnaire","detail":"no-version"}]', 1773651600000000);
INSERT INTO public.receipt VALUES ('r2', 1, 'digest', '{"resourceType":"Observation","id":"t"}', '[{"severity":"warning","code":"business-rule","text":"No version.","expression":"QuestionnaireResponse.questionnaire","detail":"no-version"}]', 1773565200000000);
INSERT INTO public.receipt VALUES ('r3', 1, 'digest', '{"resourceType":"Observation","id":"t"}', '[{"severity":"warning","code":"business-rule","text":"No version.","expression":"QuestionnaireResponse.questionnaire","detail":"no-version"}]', 1773565200000000);
INSERT INTO public.resource VALUES (3, 'Provenance', 'p1', 1, true, 'r1', 1, 'Patient/1', '{"resourceType":"Provenance","id":"p1","meta":{"versionId":"1"},"target":[{"reference":"Observation/o1"}]}');
INSERT INTO public.resource VALUES (1, 'QuestionnaireResponse', 'r1', 1, false, 'r1', 1, 'Patient/1', '{"resourceType":"QuestionnaireResponse","id":"r1","meta":{"versionId":"1","lastUpdated":"2026-03-15T09:00:00.000Z"},"questionnaire":"https://pages.example/Questionnaire/cough|1.0.0","status":"completed","subject":{"reference":"Patient/1"},"authored":"2026-03-15T10:00:00+01:00","identifier":{"system":"urn:forms","value":"form-1"}}');
INSERT INTO public.resource VALUES (2, 'Observation', 'o1', 1, false, 'r1', 1, 'Patient/1', '{"resourceType":"Observation","id":"o1","meta":{"versionId":"1"},"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"75325-1"}]},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2026-03-15T10:00:00+01:00","derivedFrom":[{"reference":"QuestionnaireResponse/r1"}],"valueQuantity":{"value":1.50}}');
INSERT INTO public.resource VALUES (4, 'QuestionnaireResponse', 'r1', 2, true, 'r1', 2, 'Patient/1', '{"resourceType":"QuestionnaireResponse","id":"r1","meta":{"versionId":"2","lastUpdated":"2026-03-15T09:00:00.000Z"},"questionnaire":"https://pages.example/Questionnaire/cough|1.0.0","status":"amended","subject":{"reference":"Patient/1"},"authored":"2026-03-15T10:00:00+01:00","identifier":{"system":"urn:forms","value":"form-1"}}');
INSERT INTO public.resource VALUES (5, 'Observation', 'o1', 2, true, 'r1', 2, 'Patient/1', '{"resourceType":"Observation","id":"o1","meta":{"versionId":"2"},"status":"amended","code":{"coding":[{"system":"http://loinc.org","code":"75325-1"}]},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2026-03-15T10:00:00+01:00","derivedFrom":[{"reference":"QuestionnaireResponse/r1"}],"valueQuantity":{"value":1.50}}');
INSERT INTO public.resource VALUES (6, 'Provenance', 'p2', 1, true, 'r1', 2, 'Patient/1', '{"resourceType":"Provenance","id":"p2","meta":{"versionId":"1"},"target":[{"reference":"Observation/o1"}]}');
INSERT INTO public.resource VALUES (7, 'QuestionnaireResponse', 'r2', 1, true, 'r2', 1, 'Patient/2', '{"resourceType":"QuestionnaireResponse","id":"r2","meta":{"versionId":"1","lastUpdated":"2026-03-15T09:00:00.000Z"},"questionnaire":"https://pages.example/Questionnaire/cough|1.0.0","status":"in-progress","subject":{"reference":"Patient/2"},"authored":"2026-03-15T10:00:00+01:00"}');
INSERT INTO public.resource VALUES (8, 'QuestionnaireResponse', 'r3', 1, true, 'r3', 1, 'Patient/1', '{"resourceType":"QuestionnaireResponse","id":"r3","meta":{"versionId":"1","lastUpdated":"2026-03-15T09:00:00.000Z"},"questionnaire":"https://pages.example/Questionnaire/cough|1.0.0","status":"completed","subject":{"reference":"Patient/1"},"authored":"2026-03-15T10:00:00+01:00"}');
INSERT INTO public.resource VALUES (9, 'AuditEvent', 'a1', 1, true, 'a1', 1, 'Patient/1', '{"resourceType":"AuditEvent","id":"a1","meta":{"versionId":"1"},"recorded":"2026-03-15T09:00:00.000Z","entity":[{"what":{"reference":"Patient/1"},"role":{"system":"http://terminology.hl7.org/CodeSystem/object-role","code":"1"}}]}');
INSERT INTO public.response_key VALUES ('identifier', 'app', 'Patient/1', 'urn:forms', 'form-1', 'r1', 1);
INSERT INTO public.response_key VALUES ('identifier', 'app', 'Patient/1', 'urn:forms', 'sha256:5130b33e6b87fbf5316ed9049e98924eb110800bcbaaad8050f642fba6df37c9', 'r3', 1);
INSERT INTO public.schema_version VALUES (8);
INSERT INTO public.signing_key VALUES ('k1', 'sealed', 1773565200000000);
INSERT INTO public.span VALUES ('authored', 1773565200000, 1773565201000, 1);
INSERT INTO public.span VALUES ('date', 1773565200000, 1773565201000, 2);
INSERT INTO public.span VALUES ('authored', 1773565200000, 1773565201000, 4);
INSERT INTO public.span VALUES ('date', 1773565200000, 1773565201000, 5);
INSERT INTO public.span VALUES ('authored', 1773565200000, 1773565201000, 7);
INSERT INTO public.span VALUES ('authored', 1773565200000, 1773565201000, 8);
INSERT INTO public.span VALUES ('date', 1773565200000, 1773565200001, 9);
INSERT INTO public.target VALUES ('https://ehr.example/fhir', 1, NULL, NULL);
INSERT INTO public.term VALUES ('questionnaire', 'https://pages.example/Questionnaire/cough', '1.0.0', 1);
INSERT INTO public.term VALUES ('status', 'completed', '', 1);
INSERT INTO public.term VALUES ('identifier', 'form-1', 'urn:forms', 1);
INSERT INTO public.term VALUES ('code', '75325-1', 'http://loinc.org', 2);
INSERT INTO public.term VALUES ('derived-from', 'QuestionnaireResponse/r1', '', 2);
INSERT INTO public.term VALUES ('target', 'Observation/o1', '', 3);
INSERT INTO public.term VALUES ('questionnaire', 'https://pages.example/Questionnaire/cough', '1.0.0', 4);
INSERT INTO public.term VALUES ('status', 'amended', '', 4);
INSERT INTO public.term VALUES ('identifier', 'form-1', 'urn:forms', 4);
INSERT INTO public.term VALUES ('code', '75325-1', 'http://loinc.org', 5);
INSERT INTO public.term VALUES ('derived-from', 'QuestionnaireResponse/r1', '', 5);
INSERT INTO public.term VALUES ('target', 'Observation/o1', '', 6);
INSERT INTO public.term VALUES ('questionnaire', 'https://pages.example/Questionnaire/cough', '1.0.0', 7);
INSERT INTO public.term VALUES ('status', 'in-progress', '', 7);
INSERT INTO public.term VALUES ('questionnaire', 'https://pages.example/Questionnaire/cough', '1.0.0', 8);
INSERT INTO public.term VALUES ('status', 'completed', '', 8);
INSERT INTO public.term VALUES ('entity', 'Patient/1', '', 9);
SELECT pg_catalog.setval('public.letter_id_seq', 2, true);
SELECT pg_catalog.setval('public.resource_seq_seq', 9, true);
SELECT pg_catalog.setval('public.schema_version_version_seq', 1, false);
ALTER TABLE ONLY public.card
    ADD CONSTRAINT card_pkey PRIMARY KEY (uuid);
ALTER TABLE ONLY public.clinician_visit
    ADD CONSTRAINT clinician_visit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT feedback_pkey PRIMARY KEY (card, digest);
ALTER TABLE ONLY public.hook_token
    ADD CONSTRAINT hook_token_pkey PRIMARY KEY (issuer, token_id);
ALTER TABLE ONLY public.invitation
    ADD CONSTRAINT invitation_pkey PRIMARY KEY (response_id);
ALTER TABLE ONLY public.launch_grant
    ADD CONSTRAINT launch_grant_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.launch
    ADD CONSTRAINT launch_pkey PRIMARY KEY (response_id);
ALTER TABLE ONLY public.launch_request
    ADD CONSTRAINT launch_request_pkey PRIMARY KEY (state);
ALTER TABLE ONLY public.letter
    ADD CONSTRAINT letter_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.pack
    ADD CONSTRAINT pack_pkey PRIMARY KEY (url, version);
ALTER TABLE ONLY public.placement
    ADD CONSTRAINT placement_pkey PRIMARY KEY (target, resource_type, id);
ALTER TABLE ONLY public.proposal
    ADD CONSTRAINT proposal_pkey PRIMARY KEY (response_id);
ALTER TABLE ONLY public.receipt
    ADD CONSTRAINT receipt_pkey PRIMARY KEY (response_id, version);
ALTER TABLE ONLY public.resource
    ADD CONSTRAINT resource_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.response_key
    ADD CONSTRAINT response_key_pkey PRIMARY KEY (kind, client, subject, system, value);
ALTER TABLE ONLY public.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.signing_key
    ADD CONSTRAINT signing_key_pkey PRIMARY KEY (kid);
ALTER TABLE ONLY public.span
    ADD CONSTRAINT span_pkey PRIMARY KEY (parameter, low, high, seq);
ALTER TABLE ONLY public.target
    ADD CONSTRAINT target_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.term
    ADD CONSTRAINT term_pkey PRIMARY KEY (parameter, value, system, seq);
CREATE INDEX card_issued ON public.card USING btree (issued_at);
CREATE INDEX clinician_visit_expires ON public.clinician_visit USING btree (expires_at);
CREATE INDEX hook_token_expires ON public.hook_token USING btree (expires_at);
CREATE INDEX launch_grant_patient ON public.launch_grant USING btree (issuer, patient, created_at);
CREATE INDEX launch_patient ON public.launch USING btree (issuer, patient);
CREATE INDEX letter_due ON public.letter USING btree (target, due_at) WHERE ((state)::text = ANY ((ARRAY['pending'::character varying, 'leased'::character varying])::text[]));
CREATE INDEX letter_response ON public.letter USING btree (response_id, id);
CREATE INDEX letter_state ON public.letter USING btree (state, target, created_at);
CREATE INDEX placement_response ON public.placement USING btree (response_id);
CREATE INDEX resource_patient ON public.resource USING btree (patient, type, seq);
CREATE INDEX resource_response ON public.resource USING btree (response_id, response_version);
CREATE UNIQUE INDEX resource_version ON public.resource USING btree (type, id, version);
