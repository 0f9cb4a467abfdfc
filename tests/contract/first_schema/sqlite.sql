PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO schema_version VALUES(8);
CREATE TABLE resource (
	seq INTEGER NOT NULL, 
	type VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	current BOOLEAN NOT NULL, 
	response_id VARCHAR NOT NULL, 
	response_version INTEGER NOT NULL, 
	patient VARCHAR, 
	body TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO resource VALUES(1,'QuestionnaireResponse','r1',1,0,'r1',1,'Patient/1','{"resourceType":"QuestionnaireResponse","id":"r1","meta":{"versionId":"1","lastUpdated":"2026-03-15T09:00:00.000Z"},"questionnaire":"https://pages.example/Questionnaire/cough|1.0.0","status":"completed","subject":{"reference":"Patient/1"},"authored":"2026-03-15T10:00:00+01:00","identifier":{"system":"urn:forms","value":"form-1"}}');
INSERT INTO resource VALUES(2,'Observation','o1',1,0,'r1',1,'Patient/1','{"resourceType":"Observation","id":"o1","meta":{"versionId":"1"},"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"75325-1"}]},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2026-03-15T10:00:00+01:00","derivedFrom":[{"reference":"QuestionnaireResponse/r1"}],"valueQuantity":{"value":1.50}}');
INSERT INTO resource VALUES(3,'Provenance','p1',1,1,'r1',1,'Patient/1','{"resourceType":"Provenance","id":"p1","meta":{"versionId":"1"},"target":[{"reference":"Observation/o1"}]}');
INSERT INTO resource VALUES(4,'QuestionnaireResponse','r1',2,1,'r1',2,'Patient/1','{"resourceType":"QuestionnaireResponse","id":"r1","meta":{"versionId":"2","lastUpdated":"2026-03-15T09:00:00.000Z"},"questionnaire":"https://pages.example/Questionnaire/cough|1.0.0","status":"amended","subject":{"reference":"Patient/1"},"authored":"2026-03-15T10:00:00+01:00","identifier":{"system":"urn:forms","value":"form-1"}}');
INSERT INTO resource VALUES(5,'Observation','o1',2,1,'r1',2,'Patient/1','{"resourceType":"Observation","id":"o1","meta":{"versionId":"2"},"status":"amended","code":{"coding":[{"system":"http://loinc.org","code":"75325-1"}]},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2026-03-15T10:00:00+01:00","derivedFrom":[{"reference":"QuestionnaireResponse/r1"}],"valueQuantity":{"value":1.50}}');
INSERT INTO resource VALUES(6,'Provenance','p2',1,1,'r1',2,'Patient/1','{"resourceType":"Provenance","id":"p2","meta":{"versionId":"1"},"target":[{"reference":"Observation/o1"}]}');
INSERT INTO resource VALUES(7,'QuestionnaireResponse','r2',1,1,'r2',1,'Patient/2','{"resourceType":"QuestionnaireResponse","id":"r2","meta":{"versionId":"1","lastUpdated":"2026-03-15T09:00:00.000Z"},"questionnaire":"https://pages.example/Questionnaire/cough|1.0.0","status":"in-progress","subject":{"reference":"Patient/2"},"authored":"2026-03-15T10:00:00+01:00"}');
INSERT INTO resource VALUES(8,'QuestionnaireResponse','r3',1,1,'r3',1,'Patient/1','{"resourceType":"QuestionnaireResponse","id":"r3","meta":{"versionId":"1","lastUpdated":"2026-03-15T09:00:00.000Z"},"questionnaire":"https://pages.example/Questionnaire/cough|1.0.0","status":"completed","subject":{"reference":"Patient/1"},"authored":"2026-03-15T10:00:00+01:00"}');
INSERT INTO resource VALUES(9,'AuditEvent','a1',1,1,'a1',1,'Patient/1','{"resourceType":"AuditEvent","id":"a1","meta":{"versionId":"1"},"recorded":"2026-03-15T09:00:00.000Z","entity":[{"what":{"reference":"Patient/1"},"role":{"system":"http://terminology.hl7.org/CodeSystem/object-role","code":"1"}}]}');
CREATE TABLE term (
	parameter VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	system VARCHAR NOT NULL, 
	seq BIGINT NOT NULL, 
	PRIMARY KEY (parameter, value, system, seq)
)
 WITHOUT ROWID

;
INSERT INTO term VALUES('code','75325-1','http://loinc.org',2);
INSERT INTO term VALUES('code','75325-1','http://loinc.org',5);
INSERT INTO term VALUES('derived-from','QuestionnaireResponse/r1','',2);
INSERT INTO term VALUES('derived-from','QuestionnaireResponse/r1','',5);
INSERT INTO term VALUES('entity','Patient/1','',9);
INSERT INTO term VALUES('identifier','form-1','urn:forms',1);
INSERT INTO term VALUES('identifier','form-1','urn:forms',4);
INSERT INTO term VALUES('questionnaire','https://pages.example/Questionnaire/cough','1.0.0',1);
INSERT INTO term VALUES('questionnaire','https://pages.example/Questionnaire/cough','1.0.0',4);
INSERT INTO term VALUES('questionnaire','https://pages.example/Questionnaire/cough','1.0.0',7);
INSERT INTO term VALUES('questionnaire','https://pages.example/Questionnaire/cough','1.0.0',8);
INSERT INTO term VALUES('status','amended','',4);
INSERT INTO term VALUES('status','completed','',1);
INSERT INTO term VALUES('status','completed','',8);
INSERT INTO term VALUES('status','in-progress','',7);
INSERT INTO term VALUES('target','Observation/o1','',3);
INSERT INTO term VALUES('target','Observation/o1','',6);
CREATE TABLE span (
	parameter VARCHAR NOT NULL, 
	low BIGINT NOT NULL, 
	high BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	PRIMARY KEY (parameter, low, high, seq)
)
 WITHOUT ROWID

;
INSERT INTO span VALUES('authored',1773565200000,1773565201000,1);
INSERT INTO span VALUES('authored',1773565200000,1773565201000,4);
INSERT INTO span VALUES('authored',1773565200000,1773565201000,7);
INSERT INTO span VALUES('authored',1773565200000,1773565201000,8);
INSERT INTO span VALUES('date',1773565200000,1773565200001,9);
INSERT INTO span VALUES('date',1773565200000,1773565201000,2);
INSERT INTO span VALUES('date',1773565200000,1773565201000,5);
CREATE TABLE proposal (
	response_id VARCHAR NOT NULL, 
	body TEXT NOT NULL, 
	kept_at BIGINT NOT NULL, 
	PRIMARY KEY (response_id)
);
INSERT INTO proposal VALUES('r2','{"item":[]}',1773565200000000);
CREATE TABLE receipt (
	response_id VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	digest VARCHAR NOT NULL, 
	triage TEXT NOT NULL, 
	warnings TEXT NOT NULL, 
	accepted_at BIGINT NOT NULL, 
	PRIMARY KEY (response_id, version)
);
INSERT INTO receipt VALUES('r1',1,'digest','{"resourceType":"Observation","id":"t"}','[{"severity":"warning","code":"business-rule","text":"No version.","expression":"QuestionnaireResponse.questionnaire","detail":"no-version"}]',1773565200000000);
INSERT INTO receipt VALUES('r1',2,'digest','{"resourceType":"Observation","id":"t"}','[{"severity":"warning","code":"business-rule","text":"No version.","expression":"QuestionnaireResponse.questionnaire","detail":"no-version"}]',1773651600000000);
INSERT INTO receipt VALUES('r2',1,'digest','{"resourceType":"Observation","id":"t"}','[{"severity":"warning","code":"business-rule","text":"No version.","expression":"QuestionnaireResponse.questionnaire","detail":"no-version"}]',1773565200000000);
INSERT INTO receipt VALUES('r3',1,'digest','{"resourceType":"Observation","id":"t"}','[{"severity":"warning","code":"business-rule","text":"No version.","expression":"QuestionnaireResponse.questionnaire","detail":"no-version"}]',1773565200000000);
CREATE TABLE response_key (
	kind VARCHAR NOT NULL, 
	client VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	system VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	response_id VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (kind, client, subject, system, value)
)
 WITHOUT ROWID

;
INSERT INTO response_key VALUES('identifier','app','Patient/1','urn:forms','form-1','r1',1);
INSERT INTO response_key VALUES('identifier','app','Patient/1','urn:forms','xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx','r3',1);
CREATE TABLE letter (
	id INTEGER NOT NULL, 
	response_id VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	target VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	due_at BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	changed_at BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	leases INTEGER NOT NULL, 
	leased_by VARCHAR, 
	leased_until BIGINT, 
	problem TEXT, 
	note TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO letter VALUES(1,'r1',1,'https://ehr.example/fhir','delivered',1773565200000000,1773565200000000,1773565200000000,1,1,NULL,NULL,NULL,NULL);
INSERT INTO letter VALUES(2,'r1',2,'https://ehr.example/fhir','dead',1773651600000000,1773651600000000,1773651600000000,1,1,NULL,NULL,'{"reason":"conflict","text":"Changed by others.","status":412,"outcome":null}',NULL);
CREATE TABLE target (
	name VARCHAR NOT NULL, 
	failures INTEGER NOT NULL, 
	held_until BIGINT, 
	problem TEXT, 
	PRIMARY KEY (name)
);
INSERT INTO target VALUES('https://ehr.example/fhir',1,NULL,NULL);
CREATE TABLE placement (
	target VARCHAR NOT NULL, 
	resource_type VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	response_id VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	etag VARCHAR, 
	PRIMARY KEY (target, resource_type, id)
);
INSERT INTO placement VALUES('https://ehr.example/fhir','Observation','o1','r1','Observation/17','W/"1"');
CREATE TABLE pack (
	url VARCHAR NOT NULL, 
	version VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	artifacts TEXT NOT NULL, 
	first_accepted_at BIGINT NOT NULL, 
	PRIMARY KEY (url, version)
);
INSERT INTO pack VALUES('https://pages.example/Questionnaire/cough','1.0.0','cough','[{"resourceType":"Questionnaire","id":"cough"}]',1773565200000000);
CREATE TABLE launch_request (
	state VARCHAR NOT NULL, 
	sealed TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (state)
);
INSERT INTO launch_request VALUES('state','sealed',1773565200000000);
CREATE TABLE launch (
	response_id VARCHAR NOT NULL, 
	issuer VARCHAR NOT NULL, 
	patient VARCHAR NOT NULL, 
	encounter VARCHAR, 
	user VARCHAR, 
	banner VARCHAR, 
	PRIMARY KEY (response_id)
);
INSERT INTO launch VALUES('r2','https://ehr.example/fhir','2','Encounter/1','Practitioner/1','Ada, 1815-12-10');
CREATE TABLE launch_grant (
	id VARCHAR NOT NULL, 
	issuer VARCHAR NOT NULL, 
	patient VARCHAR NOT NULL, 
	sealed TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO launch_grant VALUES('g1','https://ehr.example/fhir','2','sealed',1773565200000000);
CREATE TABLE signing_key (
	kid VARCHAR NOT NULL, 
	sealed TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (kid)
);
INSERT INTO signing_key VALUES('k1','sealed',1773565200000000);
CREATE TABLE invitation (
	response_id VARCHAR NOT NULL, 
	page VARCHAR NOT NULL, 
	patient VARCHAR NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	revoked_at BIGINT, 
	PRIMARY KEY (response_id)
);
INSERT INTO invitation VALUES('r4','cough','Patient/4',1773565200000000,1774774800000000,NULL);
CREATE TABLE card (
	uuid VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	page VARCHAR NOT NULL, 
	issued_at BIGINT NOT NULL, 
	PRIMARY KEY (uuid)
);
INSERT INTO card VALUES('c1','ask','cough',1773565200000000);
CREATE TABLE feedback (
	card VARCHAR NOT NULL, 
	digest VARCHAR NOT NULL, 
	kind VARCHAR, 
	page VARCHAR, 
	outcome VARCHAR NOT NULL, 
	body TEXT NOT NULL, 
	received_at BIGINT NOT NULL, 
	PRIMARY KEY (card, digest)
);
INSERT INTO feedback VALUES('c1','f4d22b5c100af3c764de0373cc0392fa1fbe22d6393b15acf2766d3d89d17659','ask','cough','accepted','{"card":"c1"}',1773565200000000);
CREATE TABLE hook_token (
	issuer VARCHAR NOT NULL, 
	token_id VARCHAR NOT NULL, 
	expires_at BIGINT NOT NULL, 
	PRIMARY KEY (issuer, token_id)
);
INSERT INTO hook_token VALUES('https://ehr.example/fhir','t1',1773565500000000);
CREATE TABLE clinician_visit (
	id VARCHAR NOT NULL, 
	issuer VARCHAR NOT NULL, 
	patient VARCHAR NOT NULL, 
	user VARCHAR NOT NULL, 
	expires_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO clinician_visit VALUES('v1','https://ehr.example/fhir','1','Practitioner/1',1773568800000000);
CREATE INDEX resource_patient ON resource (patient, type, seq);
CREATE INDEX resource_response ON resource (response_id, response_version);
CREATE UNIQUE INDEX resource_version ON resource (type, id, version);
CREATE INDEX letter_response ON letter (response_id, id);
CREATE INDEX letter_state ON letter (state, target, created_at);
CREATE INDEX letter_due ON letter (target, due_at) WHERE state IN ('pending', 'leased');
CREATE INDEX placement_response ON placement (response_id);
CREATE INDEX launch_patient ON launch (issuer, patient);
CREATE INDEX launch_grant_patient ON launch_grant (issuer, patient, created_at);
CREATE INDEX card_issued ON card (issued_at);
CREATE INDEX hook_token_expires ON hook_token (expires_at);
CREATE INDEX clinician_visit_expires ON clinician_visit (expires_at);
COMMIT;
